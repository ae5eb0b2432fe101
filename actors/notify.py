"""Telling people: notify, the last step of a ticket's journey, and announce, for all that happens to it later.

Both decide who is told what, and write a notification for each; what may go at once is promised to its channel, and what
must wait to `actors.digest`. A notification's dedupe key (ticket, event, version, channel, recipient) makes it once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from actors import analysis, digest
from actors.analysis import JOB_PRIORITY
from actors.events import event_job, parse
from actors.notification_settings import NotificationSettings, notification_settings
from actors.sla import wall_time
from aura.jobs.actor import JobResult, durable
from aura.jobs.attempt import Missing, Permanent
from aura.notifications import (
    Agent,
    Recipient,
    Role,
    SubscriptionTopic,
    TicketFacts,
    once,
    recipients,
    render_message,
    route,
    subscribers,
)
from aura.settings import get_settings
from db import incidents, jobs, notifications, outbox, reading, tickets
from db.incidents import ActiveIncident
from db.jobs import Claimed, NewJob
from db.tickets import TicketRow

#: What is true of this ticket alone, and not of the matter that it shares with others.
SEPARATE = ("ticket.dead_lettered", "ticket.assigned", "ticket.commented")


@dataclass(frozen=True, slots=True)
class Telling:
    """Who takes a ticket and what is said to whom; no notifications when everybody knows already."""

    assignee: str | None
    notifications: list[dict[str, Any]] = field(default_factory=list)
    #: The major incident that it is a part of.
    incident: int | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a ticket; the same (ticket, event, version) is told once, for ever."""

    ticket_id: int
    event: str
    version: int | str
    #: A sentence for the readers.
    note: str = ""
    #: What other services hear besides.
    more: Mapping[str, Any] = field(default_factory=dict)


def announce_event(session: Session, ticket_id: int, event: str, version: int | str, note: str = "") -> None:
    """Promise, in the caller's transaction, that people are told of an event, and tell other services of it."""
    announce_events(session, [Happened(ticket_id, event, version, note)])


def announce_events(session: Session, happened: Sequence[Happened]) -> None:
    """Promise, in the caller's transaction, that people are told of these events, and tell other services of them."""
    jobs.enqueue(session, [event_job(each.ticket_id, each.event, each.version, each.note) for each in happened])
    outbox.record(
        session,
        [
            (each.event, each.ticket_id, {"version": each.version, "note": analysis.quoted(each.note), **each.more})
            for each in happened
        ],
    )


# -- notify: the last step of a journey -------------------------------------------------------------------------------


def save_notified(session: Session, done: list[JobResult]) -> None:
    """Write each notification once, promise the deliveries of the new ones, and who has each ticket."""
    _write(session, done)
    incidents.assign_tickets(
        session, {each.item.id: each.result.incident for each in done if each.result.incident is not None}
    )
    tickets.save_notified(session, [(each.item.id, each.item.version, each.result.assignee) for each in done])


@durable(queue_name="tickets.notify", load=tickets.load, save=save_notified)
def notify(batch: list[TicketRow]) -> list[Telling]:
    """Route each ticket to an agent and decide who is told what."""
    with reading() as session:
        reasons = tickets.reasons(session, [ticket.id for ticket in batch])
        staff = _staff(session)
        burst = analysis.active_incidents(session)
        asked = notification_settings(session)
    told = [_tell(ticket, reasons.get(ticket.id, ""), staff, _incident(ticket, burst), asked) for ticket in batch]
    digest.delay([row for telling in told for row in telling.notifications], asked.preferences)
    return told


def _staff(session: Session) -> list[Agent]:
    return [
        Agent(a.name, a.email, tuple(a.skills), a.team, a.capacity, load, a.available)
        for a, load in notifications.agents(session)
    ]


def _who_has(ticket: TicketRow, staff: Sequence[Agent]) -> Agent | None:
    if not ticket.assignee:
        return None
    # who is no agent of ours has an inbox all the same
    return next((one for one in staff if one.name == ticket.assignee), Agent(ticket.assignee))


def _incident(ticket: TicketRow, burst: Sequence[ActiveIncident]) -> int | None:
    if ticket.source in incidents.EXCLUDED_SOURCES:
        return None
    return next((each.id for each in burst if each.id == ticket.incident_id or each.matches(ticket.title)), None)


def _tell(
    ticket: TicketRow,
    reason: str,
    staff: list[Agent],
    incident: int | None = None,
    wishes: NotificationSettings | None = None,
) -> Telling:
    if ticket.notified_version >= ticket.version:
        return Telling(None)
    # somebody has been told of this matter
    known = ticket.duplicate_of is not None or (incident is not None and ticket.assignee is None)
    agent = _who_has(ticket, staff)
    free = ticket.assignee is None and not known
    fitting = route(ticket.category or "Other", ticket.priority or "medium", staff) if free else None
    if fitting is not None:
        # the next ticket of this batch must see that this one was given away
        staff[staff.index(fitting)] = replace(fitting, load=fitting.load + 1)
    agent = agent or fitting
    first = ticket.notified_version == 0
    about = _About(ticket, agent, known, _facts(ticket, agent, reason), wishes or NotificationSettings())
    rows = about.rows("ticket.classified" if first else "ticket.reclassified", str(ticket.version))
    if about.wishes.subscriptions:
        more = ["ticket.received"] if first else []
        more += ["ticket.assigned"] if fitting is not None else []
        more += ["ticket.needs_review"] if ticket.needs_review else []
        for event in more:
            # the agent knows already; when a person gives the ticket to another one, that is another version
            rows += about.rows(event, f"{ticket.version}-by-itself", unasked=False)
    return Telling(agent.name if agent else None, rows, incident)


# -- announce: what happens to a ticket later -------------------------------------------------------------------------


def save_announced(session: Session, done: list[JobResult]) -> None:
    """Write each notification once, and promise the deliveries of the new ones."""
    for each in done:
        for row in each.result.notifications:
            each.priority = JOB_PRIORITY.get(row["data"]["priority"], each.priority)
    _write(session, done)


@durable(queue_name="tickets.notify", save=save_announced)
def announce(batch: list[Claimed]) -> list[Telling | Permanent]:
    """Decide who is told what of each event; its key says which, such as 17:ticket.escalated:3."""
    keys = [parse(job.key) for job in batch]
    ids = [key[0] for key in keys if key is not None]
    with reading() as session:
        known = tickets.load(session, ids)
        reasons = tickets.reasons(session, [ticket.id for ticket in known.values()])
        staff = _staff(session)
        asked = notification_settings(session)
    told: list[Telling | Permanent] = []
    for job, key in zip(batch, keys, strict=True):
        if key is None:
            told.append(Permanent(f"{job.key!r} names no ticket, event and version"))
        elif key[0] not in known:
            told.append(Missing(f"there is no ticket {key[0]}"))
        else:
            told.append(_announce(known[key[0]], key[1], key[2], job.args, reasons, staff, asked))
    digest.delay([row for each in told if isinstance(each, Telling) for row in each.notifications], asked.preferences)
    return told


def _announce(
    ticket: TicketRow,
    event: str,
    version: str,
    args: list[Any],
    reasons: Mapping[int, str],
    staff: Sequence[Agent],
    wishes: NotificationSettings,
) -> Telling:
    agent = _who_has(ticket, staff)
    shared = ticket.duplicate_of is not None or (ticket.incident_id is not None and ticket.assignee is None)
    known = shared and event not in SEPARATE
    note, *roles = args or [""]
    facts = _facts(ticket, agent, reasons.get(ticket.id, ""), str(note))
    return Telling(None, _About(ticket, agent, known, facts, wishes).rows(event, version, roles=roles))


# -- what both have in common -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _About:
    """A ticket, with all that decides who is told what of it."""

    ticket: TicketRow
    agent: Agent | None
    known: bool
    facts: TicketFacts
    wishes: NotificationSettings

    def rows(self, event: str, version: str, unasked: bool = True, roles: Sequence[Role] = ()) -> list[dict[str, Any]]:
        """Return a notification for each who is told of the event; with `unasked=False` only for subscribers.

        `roles` stand for those whom the event concerns by itself.
        """
        ticket, facts = self.ticket, self.facts
        told: list[Recipient] = []
        if unasked:
            told = recipients(
                event,
                requester=ticket.requester,
                language=ticket.language,
                assignee=self.agent,
                team_address=get_settings().service_desk,
                priority=facts.priority,
                duplicate=self.known,
                roles=roles,
            )
        if self.wishes.subscriptions:
            team = self.agent.team if self.agent else ""
            matter = SubscriptionTopic(
                facts.category, facts.priority, ticket.department, team, ticket.language, self.known
            )
            told = once([*told, *subscribers(event, matter, self.wishes.subscriptions)])
        return [self._row(event, version, recipient) for recipient in told]

    def _row(self, event: str, version: str, recipient: Recipient) -> dict[str, Any]:
        facts = self.facts
        preferred = self.wishes.preferences.get(recipient.address.lower())
        language = (preferred.language if preferred else "") or recipient.language
        base_url = get_settings().base_url
        wording = render_message(event, recipient.role, language, facts, base_url)
        return {
            "id": uuid.uuid4().hex,
            "ticket_id": facts.id,
            "event": event,
            "channel": recipient.channel,
            "recipient": recipient.address,
            "role": recipient.role,
            "dedupe_key": f"{facts.id}:{event}:{version}:{recipient.channel}:{recipient.address}",
            "subject": wording.subject,
            "body": wording.text,
            "data": {
                "event": event,
                "ticket_id": facts.id,
                "title": facts.title,
                "category": facts.category,
                "priority": facts.priority,
                "assignee": facts.assignee,
                "status": self.ticket.status,
                "note": facts.note,
                "language": language,
                "url": f"{base_url}/tickets/{facts.id}",
            },
            # an in-app notification is delivered by being there
            "state": "sent" if recipient.channel == "in_app" else "enqueued",
        }


def _facts(ticket: TicketRow, agent: Agent | None, reason: str, note: str = "") -> TicketFacts:
    return TicketFacts(
        id=ticket.id,
        title=analysis.quoted(ticket.title),
        description=analysis.quoted(ticket.description),
        category=ticket.category or "Other",
        priority=ticket.priority or "medium",
        reason=reason,
        requester=ticket.requester,
        assignee=agent.name if agent else "",
        duplicate_of=ticket.duplicate_of,
        note=analysis.quoted(note),
        due=wall_time(ticket.due_at) if ticket.due_at else "",
    )


def facts_of(ticket: TicketRow, reason: str) -> TicketFacts:
    """Return what a notice may say about a ticket as it is now."""
    return _facts(ticket, Agent(ticket.assignee) if ticket.assignee else None, reason)


def _write(session: Session, done: list[JobResult]) -> None:
    rows = {row["id"]: row for each in done for row in each.result.notifications}
    for each in done:
        for row in each.result.notifications:
            if row["state"] == "delayed":
                row["traceparent"] = each.traceparent
    because = {row["id"]: each for each in done for row in each.result.notifications}
    new = notifications.write(session, list(rows.values()))
    jobs.enqueue(
        session,
        [
            NewJob(rows[key]["channel"], key, priority=because[key].priority, traceparent=because[key].traceparent)
            for key in new
            if rows[key]["state"] == "enqueued"
        ],
    )
    jobs.enqueue(session, [digest.digest_job(rows[key]) for key in new if rows[key]["state"] == "delayed"])
