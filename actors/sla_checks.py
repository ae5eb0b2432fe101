"""Watching the targets: who has a ticket is warned before its time is up, and more people are told when it is.

A batch of tickets at a time, each batch a job of its own and one transaction, until nothing is left to look at.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from actors.notify import Happened, announce_events
from actors.sla import BREACHED, IN_TIME, WARNED, target_of
from aura.jobs.actor import JobResult, durable
from db import jobs, ticket_actions
from db.jobs import Claimed, NewJob
from db.ticket_actions import LockedTicket
from db.tickets import SLA_RUNNING

#: Tickets of one batch.
BATCH = 500


def save_checked(session: Session, done: list[JobResult]) -> None:
    """Look at one batch, and come back for what may be left."""
    for each in done:
        if check_sla(session) >= BATCH:
            jobs.enqueue(session, [NewJob(each.job.actor, each.job.key)])


@durable(queue_name="tickets.sla", save=save_checked, batch=1, background=True)
def sla_checks(batch: list[Claimed]) -> list[None]:
    """Do nothing outside a transaction: the look is in the one that keeps the job, so each ticket is told of once."""
    return [None for _ in batch]


def check_sla(session: Session) -> int:
    """Warn of, or escalate, one batch of tickets whose time has come. Returns how many were looked at."""
    held = ticket_actions.lock_due_for_sla_check(session, BATCH)
    rows = [_row(ticket) for ticket in held]
    ticket_actions.save_sla_checks(session, rows)
    told = {WARNED: "ticket.warned", BREACHED: "ticket.escalated"}
    announce_events(
        session,
        [
            # the version grows with each change of the priority: each target is told of once
            Happened(ticket.id, told[row["sla_state"]], ticket.version, more={"due_at": row["due_at"].isoformat()})
            for ticket, row in zip(held, rows, strict=True)
            if row["sla_state"] != ticket.sla_state
        ],
    )
    return len(held)


def _row(ticket: LockedTicket) -> dict[str, Any]:
    """Return when the ticket is due by the settings of today, and how far that is."""
    target, state = target_of(ticket.priority, ticket.created_at, ticket.paused_seconds), ticket.sla_state
    if target.due_at is not None and target.warn_at is not None and ticket.status in SLA_RUNNING:
        if ticket.now >= target.due_at:
            state = BREACHED  # after a stop of the clock this alone is told, no warning before it
        elif ticket.now >= target.warn_at and state == IN_TIME:
            state = WARNED
    running = ticket.status in SLA_RUNNING
    return {
        "id": ticket.id,
        "due_at": target.due_at if running else ticket.due_at,
        "sla_next_at": target.next_at(state) if running else None,
        "sla_state": state,
    }
