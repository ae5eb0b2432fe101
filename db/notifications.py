"""Notifications: written once per dedupe key, and marked when they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from db.jobs import upsert
from db.models import Agent, Notification, Ticket
from db.time import now


def write(session: Session, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Insert notifications and return the ids of the new ones; a dedupe key that exists adds none."""
    new: list[str] = []
    for start in range(0, len(rows), 500):  # SQLite takes 32,766 parameters a statement
        statement = upsert(session, Notification).values(
            [{**row, "created_at": now()} for row in rows[start : start + 500]]
        )
        statement = statement.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(Notification.id)
        new += session.scalars(statement)
    return new


def load(session: Session, keys: Sequence[str]) -> dict[str, Notification]:
    """Return the notifications by id; unknown ids are left out."""
    found = session.scalars(select(Notification).where(Notification.id.in_(keys)))
    return {notification.id: notification for notification in found}


def mark_sent(session: Session, sent: Sequence[tuple[str, str]]) -> None:
    """Record deliveries as (id, the provider's id)."""
    statement = (
        update(Notification)
        .where(Notification.id == bindparam("notification"), Notification.state == "promised")
        .values(state="sent", sent_at=now(), provider_id=bindparam("provider"))
    )
    if sent:
        session.connection().execute(statement, [{"notification": key, "provider": theirs} for key, theirs in sent])


def agents(session: Session) -> list[tuple[Agent, int]]:
    """Return every agent with the number of open tickets they have."""
    load_of = select(Ticket.assignee, func.count().label("load")).where(Ticket.status.in_(("open", "in_progress")))
    open_tickets = load_of.where(Ticket.assignee.is_not(None)).group_by(Ticket.assignee).subquery()
    rows = session.execute(
        select(Agent, func.coalesce(open_tickets.c.load, 0)).outerjoin(
            open_tickets, open_tickets.c.assignee == Agent.name
        )
    )
    return [(agent, count) for agent, count in rows]


def address_of(session: Session, user_id: str) -> str | None:
    """Return the e-mail address of an agent by id, name or address, or the id itself when it is an address."""
    known = or_(Agent.name == user_id, Agent.email == user_id)
    if user_id.isdecimal() and len(user_id) < 19:
        known = or_(known, Agent.id == int(user_id))
    address = session.scalar(select(Agent.email).where(known))
    return address or (user_id if "@" in user_id else None)
