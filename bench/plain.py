"""The peer: the same pipeline as a Dramatiq user would write it, sending after the commit, with publisher confirms.

The worker command is `dramatiq bench.plain`. It uses Aura's tables, session pool, engine and wording, but no job rows.
"""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from actors.tickets import _ask, _prepare, _tell
from db import notifications, tickets, transaction
from db.models import Notification, Ticket
from notices import Notice, channel
from settings import get_settings

rabbitmq = get_settings().rabbitmq_url
assert rabbitmq is not None
dramatiq.set_broker(RabbitmqBroker(url=rabbitmq.get_secret_value(), confirm_delivery=True))


@dramatiq.actor(queue_name="plain.intake")
def intake(ticket_id: int) -> None:
    with transaction() as session:
        ticket = session.get_one(Ticket, ticket_id)
        found = _prepare(ticket, tickets.recent_open(session, [ticket.requester], 7.0))
        ticket.title, ticket.description, ticket.language = found.title, found.description, found.language
    classify.send(ticket_id)


@dramatiq.actor(queue_name="plain.classify")
def classify(ticket_id: int) -> None:
    with transaction() as session:
        ticket = session.get_one(Ticket, ticket_id)
        [verdict] = _ask([ticket])
        row = {
            name: getattr(verdict, name) for name in ("category", "confidence", "priority", "reason", "engine", "model")
        }
        more = {"priority_confidence": verdict.priority_confidence, "needs_review": verdict.confidence < 0.5}
        tickets.save_verdicts(session, [{"ticket_id": ticket_id, **row, **more}])
    notify.send(ticket_id)


@dramatiq.actor(queue_name="plain.notify")
def notify(ticket_id: int) -> None:
    with transaction() as session:
        ticket = session.get_one(Ticket, ticket_id)
        rows = _tell(ticket, "", []).notifications
        new = notifications.write(session, rows)
        tickets.save_notified(session, [(ticket_id, ticket.version, None)])
    for row in rows:
        if row["id"] in new and row["channel"] == "email":
            email.send(row["id"])


@dramatiq.actor(queue_name="plain.email")
def email(notification_id: str) -> None:
    with transaction() as session:
        row = session.get_one(Notification, notification_id)
        notice = Notice(row.id, row.ticket_id or 0, row.recipient, row.subject, row.body, row.html)
        notifications.mark_sent(session, [(row.id, channel("email", get_settings()).send(notice))])
