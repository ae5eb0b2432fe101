"""Participants of tickets: people in Cc, who are notified of public replies until somebody removes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.models import TicketParticipant
from db.statements import Prepared, in_list, table, upsert
from db.time import now

#: People of one ticket, removed ones included; further ones are not added.
MAX_PARTICIPANTS = 20

_c = table(TicketParticipant).c


def add(session: Session, ticket_id: int, people: Sequence[tuple[str, str]], added_by: str) -> list[str]:
    """Add people, given as (name, address in lower case), up to MAX_PARTICIPANTS. Returns the new addresses.

    A person who was removed stays removed. The caller holds the lock of the ticket.
    """
    if not people:
        return []
    count = session.scalar(select(func.count()).where(_c.ticket_id == ticket_id)) or 0
    new: list[str] = []
    for name, address in people:
        if count >= MAX_PARTICIPANTS:
            break
        row = {"ticket_id": ticket_id, "address": address, "name": name[:200], "added_by": added_by[:254]}
        insert = upsert(session, TicketParticipant).values(row | {"created_at": now()})
        if session.scalar(insert.on_conflict_do_nothing().returning(_c.address)) is not None:
            new.append(address)
            count += 1
    return new


def restore(session: Session, ticket_id: int, address: str) -> bool:
    """Add a removed person again. Returns whether there was one."""
    statement = update(table(TicketParticipant)).where(_c.ticket_id == ticket_id, _c.address == address)
    removed = statement.where(_c.removed_at.is_not(None)).values(removed_at=None)
    return session.execute(removed.returning(_c.address)).first() is not None


def remove(session: Session, ticket_id: int, address: str) -> bool:
    """Remove a person permanently. Returns whether they took part."""
    statement = update(table(TicketParticipant)).where(_c.ticket_id == ticket_id, _c.address == address)
    present = statement.where(_c.removed_at.is_(None)).values(removed_at=now())
    return session.execute(present.returning(_c.address)).first() is not None


def listing(session: Session, ticket_id: int) -> list[dict[str, Any]]:
    """Return the participants of a ticket in the order in which they were added."""
    shown = select(_c.address, _c.name, _c.added_by, _c.created_at)
    present = shown.where(_c.ticket_id == ticket_id, _c.removed_at.is_(None))
    return [dict(row) for row in session.execute(present.order_by(_c.created_at, _c.address)).mappings()]


_OF_TICKETS = Prepared(
    lambda session: (
        select(_c.ticket_id, _c.address)
        .where(in_list(session, _c.ticket_id, "ids"), _c.removed_at.is_(None))
        .order_by(_c.created_at, _c.address)
    )
)


def of_tickets(session: Session, ticket_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the addresses of the participants of each ticket that has some."""
    found: dict[int, list[str]] = {}
    for row in _OF_TICKETS(session, ids=sorted(ticket_ids)) if ticket_ids else ():
        found.setdefault(row.ticket_id, []).append(row.address)
    return found
