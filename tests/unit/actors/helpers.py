"""Tickets, subscriptions, preferences and notifications for the tests of the actors."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from actors.events import announce_event
from db import notifications, preferences, reading, subscriptions, transaction
from db.models import Job, Notification, Ticket
from db.new_tickets import NewTicket
from db.statements import table
from db.tickets import create
from tests.embedded import move

MANAGER = "manager@example.com"


def create_ticket(category: str = "Network", priority: str = "medium", **fields: Any) -> int:
    """Create a classified ticket without notifications. Returns its id."""
    columns = table(Ticket).c
    with transaction() as session:
        [ticket_id] = create(session, "test", [(NewTicket(title="VPN drops", requester="ada"), {})])
        values = {"category": category, "priority": priority, **fields}
        session.execute(update(table(Ticket)).where(columns.id == ticket_id).values(values))
    return ticket_id


def subscribe(recipient: str = MANAGER, channel: str = "email", **conditions: str) -> None:
    row = dict.fromkeys(subscriptions.FIELDS, "") | {"recipient": recipient, "channel": channel, "event": "*"}
    with transaction() as session:
        subscriptions.add(session, [row | conditions])


def save_preference(recipient: str = MANAGER, **values: str) -> None:
    with transaction() as session:
        preferences.save(session, recipient, values)


def announce(ticket_id: int, event: str = "ticket.warned", version: int | str = 1, note: str = "") -> None:
    with transaction() as session:
        announce_event(session, ticket_id, event, version, note)


def notifications_to(recipient: str = MANAGER, **columns: Any) -> list[Notification]:
    """Return the notifications of a recipient, oldest first."""
    with reading() as session:
        rows = select(Notification).where(Notification.recipient == recipient).order_by(Notification.created_at)
        return list(session.scalars(rows.filter_by(**columns)))


def states(recipient: str = MANAGER) -> Counter[str]:
    return Counter(each.state for each in notifications_to(recipient))


def quiet_now(first: int = -1, last: int = 2) -> dict[str, str]:
    """Return quiet hours around the present moment, in UTC."""
    now = datetime.now(UTC)
    return {
        "timezone": "UTC",
        "quiet_from": f"{now + timedelta(hours=first):%H:%M}",
        "quiet_to": f"{now + timedelta(hours=last):%H:%M}",
    }


def digest_in_two_hours() -> dict[str, str]:
    return {"timezone": "UTC", "digest": "daily", "digest_at": quiet_now()["quiet_to"]}


def end_delays() -> None:
    """Let every delay end."""
    move(Notification, delayed_until=-1)
    move(Job, due_at=-1)


def write_delayed(recipient: str = MANAGER, rows: int = 3, number: int | None = None, since: float = 60) -> None:
    """Write delayed notifications whose delay has ended."""
    number = number or create_ticket()
    over = datetime.now(UTC) - timedelta(seconds=since)
    new = [
        {
            "id": uuid.uuid4().hex,
            "ticket_id": number,
            "event": "ticket.warned",
            "channel": "email",
            "recipient": recipient,
            "role": "subscriber",
            "dedupe_key": uuid.uuid4().hex,
            "subject": f"Notice {n}",
            "body": "",
            "data": {"title": "VPN drops", "category": "Network", "priority": "low", "language": "en"},
            "state": "delayed",
            "delayed_until": over,
        }
        for n in range(rows)
    ]
    with transaction() as session:
        notifications.write(session, new)


def run_in_parallel(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same moment, each in a thread. Returns what each returned or raised."""
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = calls[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results
