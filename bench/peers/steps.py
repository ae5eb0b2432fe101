"""What each step does for one ticket, in one transaction: the body that all peers share, with Aura's effects.

It is written as the SQLAlchemy tutorial would, which for one ticket at a time costs less than Aura's bulk statements do.
What the peers borrow from Aura is imported here: its tables, session pool, classifier, routing and wording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from actors.analysis import classify_batch
from actors.intake import DUPLICATE_DAYS
from actors.intake import prepare as prepare_ticket
from actors.notify import NotifyResult, _facts, _rows, _state, _Topics
from aura.ai import Verdict
from aura.notifications import Agent, Channel, OutboundMessage, RenderedMessage, as_html, make_channel
from aura.notifications.decide import NotificationSettings, decide_triage
from aura.settings import get_settings
from db import transaction
from db.models import Agent as AgentRow
from db.models import Notification, Ticket, VerdictRecord
from db.tickets import TicketRow
from db.time import from_now, now

#: What intake finds out, as columns of `tickets`.
PREPARED = ("title", "description", "requester", "department", "language", "duplicate_of")
#: What the classifier returns, as columns of `verdicts`.
VERDICT_COLUMNS = (
    *("category", "confidence", "priority", "priority_confidence", "reason", "engine", "model", "prompt_version"),
    *("fallback", "input_tokens", "output_tokens", "latency_ms"),
)
#: The agents, with the number of their open tickets.
STAFF = select(
    AgentRow,
    select(func.count())
    .where(Ticket.assignee == AgentRow.name, Ticket.status.in_(("open", "in_progress")))
    .scalar_subquery(),
)


def prepare(ticket_id: int) -> None:
    """Clean the text, detect the language, look for a duplicate."""
    with transaction() as session:
        ticket = session.get_one(Ticket, ticket_id)
        found = prepare_ticket(_loaded(ticket), [_loaded(each) for each in _recent(session, ticket.requester)])
        for name in PREPARED:
            setattr(ticket, name, getattr(found, name))
        if ticket.stage == "received":
            ticket.stage = "prepared"


def judge(ticket_id: int) -> None:
    """Ask the classifier for category and priority; what a human set stays."""
    with transaction() as session:
        ticket = session.get_one(Ticket, ticket_id)
        [verdict] = classify_batch([_loaded(ticket)])
        row = verdict_row(ticket_id, verdict)
        session.add(VerdictRecord(**row))
        before = ticket.category, ticket.priority
        if ticket.category_by != "human":
            ticket.category, ticket.category_by = verdict.category, "engine"
        if ticket.priority_by != "human":
            ticket.priority, ticket.priority_by = verdict.priority, "engine"
        if before not in ((None, None), (ticket.category, ticket.priority)):
            ticket.version += 1
        ticket.confidence, ticket.needs_review = verdict.confidence, row["needs_review"]
        ticket.classified_at = now()
        if ticket.stage != "notified":
            ticket.stage = "classified"


def notify(ticket_id: int) -> list[str]:
    """Assign the ticket and write its notifications; returns the ids of those that are sent by e-mail."""
    with transaction() as session:
        ticket = session.get_one(Ticket, ticket_id)
        newest = select(VerdictRecord.reason).where(VerdictRecord.ticket_id == ticket_id)
        reason = session.scalar(newest.order_by(VerdictRecord.id.desc()).limit(1)) or ""
        [result] = triage_results([_loaded(ticket)], {ticket_id: reason}, staff(session))
        write = insert(Notification).on_conflict_do_nothing(index_elements=["dedupe_key"])
        rows = [as_written(row) for row in result.rows]
        new = session.execute(write.returning(Notification.id, Notification.channel), rows).all()
        ticket.assignee = ticket.assignee or result.assignee
        ticket.stage, ticket.notified_at, ticket.notified_version = "notified", now(), ticket.version
    return [row.id for row in new if row.channel == "email"]


def triage_results(
    batch: Sequence[TicketRow], reasons: Mapping[int, str], agents: Sequence[Agent]
) -> list[NotifyResult]:
    """Return the assignee and the notifications of each ticket, without subscriptions and preferences."""
    decisions = decide_triage(
        [_state(ticket, _Topics({}, {}), None) for ticket in batch],
        agents,
        NotificationSettings(),
        get_settings().service_desk,
    )
    results: list[NotifyResult] = []
    for ticket, decision in zip(batch, decisions, strict=True):
        facts = _facts(ticket, decision.assignee, reasons.get(ticket.id, ""))
        rows, _ = _rows(ticket, facts, decision.notifications, {})
        results.append(NotifyResult(rows, assignee=decision.assignee.name if decision.assignee else None))
    return results


def deliver(notification_id: str) -> None:
    """Send one e-mail, on the console twin of the mail server."""
    with transaction() as session:
        row = session.get_one(Notification, notification_id)
        if row.state != "sent":
            row.provider_id = email_channel().send(mail(row))
            row.state, row.sent_at = "sent", now()


def mail(row: Any) -> OutboundMessage:
    """Return what leaves for a row of `notifications`."""
    html = as_html(RenderedMessage(row.subject, row.body), row.data["language"])
    return OutboundMessage(row.id, row.ticket_id or 0, row.recipient, row.subject, row.body, html)


def as_written(row: dict[str, Any]) -> dict[str, Any]:
    """Return a new notification as a row: one within Aura is delivered by being there."""
    return row | {"sent_at": datetime.now(UTC) if row["state"] == "sent" else None}


def _recent(session: Session, requester: str) -> Sequence[Ticket]:
    recent = select(Ticket).where(
        Ticket.requester == requester,
        Ticket.status.in_(("open", "in_progress", "pending")),
        Ticket.created_at >= from_now(-DUPLICATE_DAYS * 86400),
    )
    return session.scalars(recent.order_by(Ticket.id.desc()).limit(50)).all()


def _loaded(ticket: Ticket) -> TicketRow:
    return cast(TicketRow, ticket)  # the same attributes


def verdict_row(ticket_id: int, verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as a row."""
    review = verdict.confidence < get_settings().review_below
    return {"ticket_id": ticket_id, "needs_review": review} | {name: getattr(verdict, name) for name in VERDICT_COLUMNS}


def staff(session: Session) -> list[Agent]:
    """Return the agents, with the number of their open tickets."""
    people = session.execute(STAFF)
    return [Agent(a.name, a.email, tuple(a.skills), a.team, a.capacity, load, a.available) for a, load in people]


@lru_cache(maxsize=1)
def email_channel() -> Channel:
    """Return the channel of e-mails."""
    return make_channel("email", get_settings())


def rabbitmq_url() -> str:
    """Return the URL of the broker."""
    url = get_settings().rabbitmq_url
    assert url is not None
    return url.get_secret_value()


def database_url() -> str:
    """Return the URL of the database, as drivers other than SQLAlchemy read it."""
    return get_settings().database_url.get_secret_value().replace("postgresql+psycopg2", "postgresql")
