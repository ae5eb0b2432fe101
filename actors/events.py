"""Events of tickets: enqueue the notification of people, and record the event for other services, in one transaction.

`announce` in `actors.notify` works on these jobs. This module declares no actor, so the broker's middleware can import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from dramatiq import Broker
from sqlalchemy.orm import Session

from actors.excerpts import excerpt
from aura.errors import InvalidInput
from aura.notifications import EVENTS, Role, Visibility
from aura.notifications.recipients import ROLES
from db import jobs, outbox, tickets
from db.jobs import Claimed, NewJob
from db.text import storable
from db.ticket_actions import COMMENT_LIMIT

ACTOR = "announce"
DEAD_LETTER_EVENT = "ticket.dead_lettered"
#: Events whose note a person wrote, which is internal or public.
WRITTEN_EVENTS = ("ticket.commented", "ticket.resolved", "ticket.reopened")
#: Priority of the job; the deliveries get the one of their ticket.
PRIORITY = 5
#: Characters of a note: those of the longest comment, since a public reply is sent whole.
NOTE_LIMIT = COMMENT_LIMIT
#: The mark of an internal note, and of its author, among the arguments of the job.
INTERNAL, AUTHOR = "internal", "author:"
#: Characters of a version.
VERSION_LIMIT = 80


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """An event of a ticket; (ticket, event, version) is announced once, however often it is enqueued."""

    ticket_id: int
    event: str
    version: int | str
    #: A sentence for people.
    note: str = ""
    #: Further fields for other services.
    payload: Mapping[str, Any] = field(default_factory=dict)
    #: Of the note; an internal one is for the desk alone.
    visibility: Visibility = "public"


class EventKey(NamedTuple):
    """The parts of the key of an `announce` job, such as 17:ticket.escalated:3."""

    ticket_id: str
    event: str
    version: str


def announce_event(
    session: Session, ticket_id: int, event: str, version: int | str, note: str = "", visibility: Visibility = "public"
) -> None:
    """Announce one event in the caller's transaction (see `announce_events`)."""
    announce_events(session, [TicketEvent(ticket_id, event, version, note, visibility=visibility)])


def announce_events(session: Session, events: Sequence[TicketEvent]) -> None:
    """Enqueue the notifications of these events, and record them in the outbox, in the caller's transaction.

    An internal note is not in the outbox, whose events leave the desk.
    """
    jobs.enqueue(
        session,
        [event_job(each.ticket_id, each.event, each.version, each.note, visibility=each.visibility) for each in events],
    )
    outbox.record(session, [(each.event, each.ticket_id, _outbound(each)) for each in events])


def _outbound(event: TicketEvent) -> dict[str, Any]:
    note = {"note": excerpt(event.note) if event.visibility == "public" else ""}
    visibility = {"visibility": event.visibility} if event.note and event.event in WRITTEN_EVENTS else {}
    return {"version": event.version, **note, **visibility, **event.payload}


def event_job(
    ticket_id: int,
    event: str,
    version: int | str,
    note: str = "",
    roles: Sequence[Role] = (),
    visibility: Visibility = "public",
    author: str = "",
) -> NewJob:
    """Return the job that notifies people of an event, once for each (ticket, event, version).

    `roles` replace the event's own audience. `author` gets no mail of the own comment. Raises InvalidInput for an unknown
    event, or a version that is empty, longer than 80 characters, or contains a colon or unstorable characters.
    """
    if event not in EVENTS:
        raise InvalidInput(f"event: unknown event {event!r}; the events are {', '.join(EVENTS)}")
    suffix = str(version)
    if not 0 < len(suffix) <= VERSION_LIMIT or ":" in suffix or suffix != storable(suffix):
        raise InvalidInput(
            f"version: {suffix[:200]!r} is not valid; use 1 to {VERSION_LIMIT} characters without a colon"
        )
    # a worker of an earlier version ignores what is no role
    marks = [INTERNAL] if visibility == "internal" else []
    marks += [f"{AUTHOR}{storable(author)[:254]}"] if author else []
    arguments = [storable(note)[:NOTE_LIMIT], *roles, *marks]
    return NewJob(ACTOR, f"{ticket_id}:{event}:{suffix}", arguments, priority=PRIORITY)


@dataclass(frozen=True, slots=True)
class EventArguments:
    """The arguments of an `announce` job."""

    note: str = ""
    roles: tuple[Role, ...] = ()
    visibility: Visibility = "public"
    author: str = ""


def parse_arguments(arguments: Sequence[Any]) -> EventArguments:
    """Return the arguments of an `announce` job, which any version of Aura may have enqueued."""
    note, *rest = [str(each) for each in arguments] or [""]
    return EventArguments(
        note,
        tuple(role for role in ROLES if role in rest),
        "internal" if INTERNAL in rest else "public",
        next((each.removeprefix(AUTHOR) for each in rest if each.startswith(AUTHOR)), ""),
    )


def parse_key(key: str) -> EventKey | None:
    """Return the parts of the key of an `announce` job; None for any other key."""
    ticket_id, _, rest = key.partition(":")
    event, _, version = rest.partition(":")
    valid = ticket_id.isdecimal() and ticket_id.isascii() and event in EVENTS and 0 < len(version) <= VERSION_LIMIT
    return EventKey(ticket_id, event, version) if valid else None


def enqueue_dead_letter_events(session: Session, broker: Broker, dead_lettered: Sequence[tuple[Claimed, str]]) -> None:
    """Announce the dead letters, each with its error, of jobs that are steps of a ticket.

    A dead delivery is not announced: the notification could use the channel that is down.
    """
    steps = {name for name, actor in broker.actors.items() if getattr(actor, "load", None) is tickets.load}
    of_tickets = [(job, error) for job, error in dead_lettered if job.actor in steps and job.key.isdecimal()]
    outbox.record(
        session, [(DEAD_LETTER_EVENT, int(job.key), {"actor": job.actor, "error": error}) for job, error in of_tickets]
    )
    existing = tickets.load(session, [job.key for job, _ in of_tickets]) if of_tickets else {}
    jobs.enqueue(
        session,
        [
            replace(
                event_job(int(job.key), DEAD_LETTER_EVENT, job.id, f"{job.actor}: {error}"), traceparent=job.traceparent
            )
            for job, error in of_tickets
            if job.key in existing
        ],
    )
