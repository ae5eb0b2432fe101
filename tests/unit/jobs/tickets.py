"""Tickets that enter triage, and functions of actors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from db import reading, tickets, transaction
from db.models import Ticket
from db.new_tickets import NewTicket
from pipelines.triage import triage

Declare = Callable[..., Any]


def accept(title: str, requester: str = "ada@example.com", **more: Any) -> int:
    """Store a ticket and enqueue its pipeline, as the web does."""
    submission = NewTicket(title=title, requester=requester, **more)
    with transaction() as session:
        (ticket_id,) = tickets.create(session, "test", [(submission, submission.model_dump())])
        triage.send(ticket_id)
    return ticket_id


def ticket(ticket_id: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, ticket_id)


def one_each(items: list[Any]) -> list[str]:
    return ["done" for _ in items]
