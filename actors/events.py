"""Announcements: the promise that whoever wants to know is told what happened to a ticket.

It is made where it happens, in the transaction that makes it true; `actors.notify` keeps it. This module declares no
actor, so that the broker's own middleware may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dramatiq import Broker
from sqlalchemy.orm import Session

from aura.notifications import EVENTS, Role
from db import jobs, outbox, tickets
from db.jobs import ERROR_LIMIT, Claimed, NewJob
from db.text import storable

ACTOR = "announce"
DEAD_LETTER_EVENT = "ticket.dead_lettered"
#: Its place in the queue; the deliveries get that of their ticket's priority.
PRIORITY = 5
#: Characters of the suffix that tells two events of one kind apart.
LONGEST_VERSION = 80


def event_job(ticket_id: int, event: str, version: int | str, note: str = "", roles: Sequence[Role] = ()) -> NewJob:
    """Return the promise that people are told of an event, once for each (ticket, event, version).

    `roles` are those who are told without having asked, where they are not the event's own.

    Raises ValueError for an event that nobody has words for, or a version that is none.
    """
    if event not in EVENTS:
        raise ValueError(f"there is no event {event!r}; there are {', '.join(EVENTS)}")
    suffix = str(version)
    if not 0 < len(suffix) <= LONGEST_VERSION or ":" in suffix or suffix != storable(suffix):
        raise ValueError(f"a version is 1 to {LONGEST_VERSION} characters without a colon, not {suffix[:200]!r}")
    return NewJob(ACTOR, f"{ticket_id}:{event}:{suffix}", [storable(note)[:ERROR_LIMIT], *roles], priority=PRIORITY)


def parse(key: str) -> tuple[str, str, str] | None:
    """Return ticket id, event and version of an announcement's key; None for what is no such key."""
    ticket_id, _, rest = key.partition(":")
    event, _, version = rest.partition(":")
    known = ticket_id.isdecimal() and ticket_id.isascii() and event in EVENTS and 0 < len(version) <= LONGEST_VERSION
    return (ticket_id, event, version) if known else None


def enqueue_dead_letter_events(session: Session, broker: Broker, buried: Sequence[tuple[Claimed, str]]) -> None:
    """Tell people and other services which tickets got stuck, of jobs that were given up, each with its error.

    Of a delivery that was given up nobody is told, or a dead mail server would have us write mails about it.
    """
    steps = {name for name, actor in broker.actors.items() if getattr(actor, "load", None) is tickets.load}
    stuck = [(job, error) for job, error in buried if job.actor in steps and job.key.isdecimal()]
    outbox.record(
        session, [(DEAD_LETTER_EVENT, int(job.key), {"actor": job.actor, "error": error}) for job, error in stuck]
    )
    there = tickets.load(session, [job.key for job, _ in stuck]) if stuck else {}
    jobs.enqueue(
        session,
        [
            replace(
                event_job(int(job.key), DEAD_LETTER_EVENT, job.id, f"{job.actor}: {error}"), traceparent=job.traceparent
            )
            for job, error in stuck
            if job.key in there
        ],
    )
