"""SLA checks: warn the assignee before a ticket is overdue, escalate it when it is.

Each job checks one batch of tickets in one transaction, and enqueues the next job until no ticket is due for a check.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from actors.events import TicketEvent, announce_events
from actors.sla import BREACHED, IN_TIME, WARNED, target_of
from aura.jobs.actor import JobResult, durable
from db import jobs, ticket_actions
from db.jobs import Claimed, NewJob
from db.ticket_actions import LockedTicket
from db.tickets import SLA_RUNNING

#: Tickets of one batch.
BATCH = 500


def save_checked(session: Session, done: list[JobResult]) -> None:
    """Check one batch; after a full one enqueue the next job."""
    for each in done:
        if check_sla(session) >= BATCH:
            jobs.enqueue(session, [NewJob(each.job.actor, each.job.key)])


@durable(queue_name="tickets.sla", save=save_checked, batch=1, background=True)
def sla_checks(batch: list[Claimed]) -> list[None]:
    """Do nothing: the checks are part of the transaction that completes the job, so each is announced once."""
    return [None for _ in batch]


def check_sla(session: Session) -> int:
    """Warn of or escalate one batch of tickets that are due for a check. Returns the number of checked tickets."""
    locked = ticket_actions.lock_due_for_sla_check(session, BATCH)
    rows = [_row(ticket) for ticket in locked]
    ticket_actions.save_sla_checks(session, rows)
    events = {WARNED: "ticket.warned", BREACHED: "ticket.escalated"}
    announce_events(
        session,
        [
            # each change of the priority increases the version, so each target is announced once
            TicketEvent(
                ticket.id, events[row["sla_state"]], ticket.version, payload={"due_at": row["due_at"].isoformat()}
            )
            for ticket, row in zip(locked, rows, strict=True)
            if row["sla_state"] != ticket.sla_state
        ],
    )
    return len(locked)


def _row(ticket: LockedTicket) -> dict[str, Any]:
    """Return the SLA columns of a ticket by the present settings."""
    target, state = target_of(ticket.priority, ticket.created_at, ticket.paused_seconds), ticket.sla_state
    if target.due_at is not None and target.warn_at is not None and ticket.status in SLA_RUNNING:
        if ticket.now >= target.due_at:
            state = BREACHED  # after an outage of the scheduler the warning is left out
        elif ticket.now >= target.warn_at and state == IN_TIME:
            state = WARNED
    running = ticket.status in SLA_RUNNING
    return {
        "id": ticket.id,
        "due_at": target.due_at if running else ticket.due_at,
        "sla_next_at": target.next_at(state) if running else None,
        "sla_state": state,
    }
