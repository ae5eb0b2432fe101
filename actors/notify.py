"""Notifications of tickets: `notify`, the last step of triage, and `announce`, for every later event.

Both load tickets, agents and settings, call `aura.notifications.decide`, and write the notifications. What is delivered at
once is enqueued to its channel; what is delayed is enqueued to `actors.digest`. The dedupe key makes each notification
unique.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from sqlalchemy.orm import Session

from actors import analysis, digest, notification_settings
from actors.analysis import JOB_PRIORITY
from actors.events import WRITTEN_EVENTS, EventArguments, EventKey, parse_arguments, parse_key
from actors.excerpts import excerpt
from actors.sla import wall_time
from aura.jobs.actor import JobResult, durable
from aura.jobs.attempt import Missing, Permanent
from aura.notifications import PUBLIC_REPLY, Agent, TicketFacts, render_message
from aura.notifications.addresses import comparable
from aura.notifications.decide import (
    AnnouncedTopic,
    Notification,
    NotificationSettings,
    TicketState,
    decide_event,
    decide_triage,
    find_agent,
)
from aura.notifications.recipients import DESK
from aura.notifications.render import REPLY_LIMIT, supported_language, without_text_of_requester
from aura.settings import get_settings
from db import incidents, jobs, notifications, participants, reading, tickets
from db.ids import parse_ids
from db.inbound_mails import SOURCE as MAIL_SOURCE
from db.incidents import ActiveIncident, Covered
from db.jobs import Claimed, NewJob
from db.tickets import TicketRow


@dataclass(frozen=True, slots=True)
class NotifyResult:
    """The notifications of one job as rows, those that are delayed with their seconds, by id."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    delays: dict[str, float] = field(default_factory=dict)
    #: The assignee of a triaged ticket, and the incident that it belongs to.
    assignee: str | None = None
    incident: int | None = None


@dataclass(frozen=True, slots=True)
class _Context:
    """The database's part of a decision."""

    reasons: Mapping[int, str]
    agents: Sequence[Agent]
    settings: NotificationSettings


@dataclass(frozen=True, slots=True)
class _Topics:
    """What the originals of duplicates, and incidents, cover."""

    originals: Mapping[int, Covered]
    incidents: Mapping[int, Covered | ActiveIncident]


def _context(session: Session, batch: Sequence[TicketRow]) -> _Context:
    agents = [analysis.to_agent(row, load) for row, load in notifications.agents(session)]
    reasons = tickets.reasons(session, [ticket.id for ticket in batch])
    return _Context(reasons, agents, notification_settings.cached_settings(session))


# -- notify: the last step of triage ----------------------------------------------------------------------------------


def save_notified(session: Session, done: list[JobResult]) -> None:
    """Write the notifications, and each ticket's assignee and incident."""
    _write(session, done)
    incidents.assign_tickets(
        session, {each.item.id: each.result.incident for each in done if each.result.incident is not None}
    )
    tickets.save_notified(session, [(each.item.id, each.item.version, each.result.assignee) for each in done])


@durable(queue_name="tickets.notify", load=tickets.load, save=save_notified)
def notify(batch: list[TicketRow]) -> list[NotifyResult]:
    """Assign each ticket to an agent and notify the people concerned."""
    with reading() as session:
        context = _context(session, batch)
        active = {each.id: each for each in analysis.active_incidents(session)}
        topics = _Topics(incidents.covered_by_originals(session, _originals(batch)), active)
    joined = [_incident(ticket, list(active.values())) for ticket in batch]
    states = [_state(ticket, topics, incident) for ticket, incident in zip(batch, joined, strict=True)]
    decisions = decide_triage(states, context.agents, context.settings, get_settings().service_desk)
    new = [notification for decision in decisions for notification in decision.notifications]
    delays = digest.load_delays(new, context.settings.preferences)
    results: list[NotifyResult] = []
    for ticket, incident, decision in zip(batch, joined, decisions, strict=True):
        if ticket.notified_version >= ticket.version:
            results.append(NotifyResult())
            continue
        facts = _facts(ticket, decision.assignee, context.reasons.get(ticket.id, ""))
        rows, seconds = _rows(ticket, facts, decision.notifications, delays)
        assignee = decision.assignee.name if decision.assignee else None
        results.append(NotifyResult(rows, seconds, assignee, incident))
    return results


def _incident(ticket: TicketRow, active: Sequence[ActiveIncident]) -> int | None:
    if not incidents.is_from_requester(ticket.source):
        return None
    return next((each.id for each in active if each.id == ticket.incident_id or each.matches(ticket.title)), None)


# -- announce: the later events of a ticket ---------------------------------------------------------------------------


def save_announced(session: Session, done: list[JobResult]) -> None:
    """Write the notifications; their deliveries get the priority of the ticket."""
    for each in done:
        for row in each.result.rows:
            each.priority = JOB_PRIORITY.get(row["data"]["priority"], each.priority)
    _write(session, done)


@durable(queue_name="tickets.notify", save=save_announced)
def announce(batch: list[Claimed]) -> list[NotifyResult | Permanent]:
    """Notify people of the event that each job's key names (see `actors.events`)."""
    keys = [parse_key(job.key) for job in batch]
    with reading() as session:
        loaded = tickets.load(session, [key.ticket_id for key in keys if key is not None])
        context = _context(session, list(loaded.values()))
        people = _participants(session, batch, keys)
        covered = incidents.covered_by_incidents(session, {t.incident_id for t in loaded.values() if t.incident_id})
        topics = _Topics(incidents.covered_by_originals(session, _originals(loaded.values())), covered)
    decisions: list[list[Notification]] = []
    for job, key in zip(batch, keys, strict=True):
        ticket = loaded.get(key.ticket_id) if key else None
        cc = people.get(ticket.id, ()) if ticket else ()
        decisions.append([] if key is None or ticket is None else _decide(ticket, key, job, context, topics, cc))
    delays = digest.load_delays([each for decision in decisions for each in decision], context.settings.preferences)
    results: list[NotifyResult | Permanent] = []
    for job, key, decision in zip(batch, keys, decisions, strict=True):
        if key is None:
            results.append(Permanent(f"key: {job.key!r} is not TICKET:EVENT:VERSION"))
        elif (ticket := loaded.get(key.ticket_id)) is None:
            results.append(Missing(f"ticket {key.ticket_id} does not exist"))
        else:
            event = parse_arguments(job.args)
            agent = find_agent(ticket.assignee, context.agents)
            reply = event.note[:REPLY_LIMIT] if _by_agent(key.event, event) else ""
            facts = _facts(ticket, agent, context.reasons.get(ticket.id, ""), event.note, bool(reply))
            if event.note and key.event in WRITTEN_EVENTS:
                facts = replace(facts, note_visibility=event.visibility)
            desk = _desk_addresses(context.agents)
            results.append(NotifyResult(*_rows(ticket, facts, decision, delays, reply, desk)))
    return results


def _participants(
    session: Session, batch: Sequence[Claimed], keys: Sequence[EventKey | None]
) -> Mapping[int, Sequence[str]]:
    """Return the people in Cc of the tickets whose event notifies them."""
    if not get_settings().notify_cc:
        return {}
    pairs = zip(batch, keys, strict=True)
    ids = [key.ticket_id for job, key in pairs if key is not None and "cc" in parse_arguments(job.args).roles]
    return participants.of_tickets(session, parse_ids(ids)) if ids else {}


def _decide(
    ticket: TicketRow, key: EventKey, job: Claimed, context: _Context, topics: _Topics, cc: Sequence[str]
) -> list[Notification]:
    state, team_address = _state(ticket, topics, ticket.incident_id), get_settings().service_desk
    event = parse_arguments(job.args)
    roles = event.roles
    if event.visibility == "internal" and key.event == "ticket.commented":
        roles = ("agent",)
    decision = decide_event(state, key.event, key.version, context.agents, context.settings, team_address, roles, cc)
    own = _own_addresses(event.author, context.agents)
    # the names of endpoints are no names of people
    return [
        each for each in decision if each.channel not in ("email", "in_app") or comparable(each.recipient) not in own
    ]


def _own_addresses(author: str, agents: Sequence[Agent]) -> set[str]:
    """Return the names and addresses of a comment's author in comparable spelling; an agent has a name and an address."""
    own = {comparable(author), comparable(parseaddr(author)[1])} - {""}
    for agent in agents:
        both = {comparable(agent.name), comparable(agent.email)}
        own |= both if own & both else set()
    return own - {""}


def _by_agent(event: str, arguments: EventArguments) -> bool:
    """Return whether an agent wrote the note of an event to the requester: a public resolution, or a public reply."""
    public = arguments.visibility == "public"
    return public and (event == "ticket.resolved" or (event == "ticket.commented" and "requester" in arguments.roles))


def _desk_addresses(agents: Sequence[Agent]) -> frozenset[str]:
    """Return the addresses that read internal notes as subscribers: those of agents, and the team's."""
    return frozenset(each.casefold() for each in [get_settings().service_desk, *(a.email for a in agents)] if each)


def _reads_internal_notes(notification: Notification, desk: frozenset[str]) -> bool:
    """Return whether the recipient is at the desk. A subscriber may be anybody, also another company's program."""
    if notification.role in DESK:
        return True
    known = notification.channel == "in_app" or notification.recipient.casefold() in desk
    return notification.role == "subscriber" and notification.channel in ("in_app", "email") and known


# -- rows -------------------------------------------------------------------------------------------------------------


def ticket_facts(ticket: TicketRow, reason: str) -> TicketFacts:
    """Return the facts of a ticket that a notification may state."""
    return _facts(ticket, Agent(ticket.assignee) if ticket.assignee else None, reason)


def _facts(
    ticket: TicketRow, assignee: Agent | None, reason: str, note: str = "", note_by_agent: bool = False
) -> TicketFacts:
    return TicketFacts(
        id=ticket.id,
        title=excerpt(ticket.title),
        description=excerpt(ticket.description),
        category=ticket.category or "Other",
        priority=ticket.priority or "medium",
        reason=reason,
        requester=ticket.requester,
        assignee=assignee.name if assignee else "",
        duplicate_of=ticket.duplicate_of,
        note=excerpt(note),
        note_by_agent=note_by_agent,
        by_mail=ticket.source == MAIL_SOURCE,
        due=wall_time(ticket.due_at) if ticket.due_at else "",
    )


def _originals(batch: Iterable[TicketRow]) -> set[int]:
    return {ticket.duplicate_of for ticket in batch if ticket.duplicate_of is not None}


def _topic(covered: Covered | ActiveIncident | None) -> AnnouncedTopic | None:
    return None if covered is None else AnnouncedTopic(covered.priority, covered.assignee)


def _state(ticket: TicketRow, topics: _Topics, incident: int | None) -> TicketState:
    return TicketState(
        id=ticket.id,
        category=ticket.category or "Other",
        priority=ticket.priority or "medium",
        requester=ticket.requester,
        department=ticket.department,
        language=ticket.language,
        assignee=ticket.assignee,
        version=ticket.version,
        notified_version=ticket.notified_version,
        needs_review=ticket.needs_review,
        original=_topic(topics.originals.get(ticket.duplicate_of)) if ticket.duplicate_of is not None else None,
        incident=_topic(topics.incidents.get(incident)) if incident is not None else None,
        no_auto_reply=bool(ticket.no_auto_reply),
        silent=ticket.silent,
    )


def _rows(
    ticket: TicketRow,
    facts: TicketFacts,
    decision: Sequence[Notification],
    delays: Mapping[Notification, tuple[datetime, float]],
    reply: str = "",
    desk: frozenset[str] = frozenset(),
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the rows of the notifications, and the seconds of those that are delayed, by id.

    `reply` is the note as an agent wrote it to the requester, who gets it as it is: a masked link or phone number is of no
    use to its addressee. An internal note is left out for everybody who is not at the `desk`.
    """
    as_written = replace(facts, note=reply) if reply else facts
    if ticket.sender_verified is False:  # somebody may have written it in the name of the requester
        as_written = without_text_of_requester(as_written)
    without_note = replace(facts, note="")
    internal = facts.note_visibility == "internal"
    rows: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    for each in decision:
        shown = as_written if each.role in PUBLIC_REPLY else facts
        if internal and not _reads_internal_notes(each, desk):
            shown = without_note
        row = _row(ticket, shown, each, facts.note if shown is not without_note else "")
        if each in delays:
            until, seconds[row["id"]] = delays[each]
            row |= {"state": "delayed", "delayed_until": until}
        rows.append(row)
    return rows, seconds


def _row(ticket: TicketRow, facts: TicketFacts, notification: Notification, note: str) -> dict[str, Any]:
    base_url = get_settings().base_url
    message = render_message(notification.event, notification.role, notification.language, facts, base_url)
    return {
        "id": uuid.uuid4().hex,
        "ticket_id": ticket.id,
        "event": notification.event,
        "channel": notification.channel,
        "recipient": notification.recipient,
        "role": notification.role,
        "dedupe_key": notification.dedupe_key,
        "subject": message.subject,
        "body": message.text,
        "data": {
            "event": notification.event,
            "ticket_id": ticket.id,
            "title": facts.title,
            "category": facts.category,
            "priority": facts.priority,
            "assignee": facts.assignee,
            "status": ticket.status,
            "note": note,
            **({"visibility": facts.note_visibility} if facts.note_visibility else {}),
            "language": supported_language(notification.language, notification.role),
            "url": f"{base_url}/tickets/{ticket.id}",
        },
        # the row of an in-app notification is its delivery
        "state": "sent" if notification.channel == "in_app" else "enqueued",
    }


@dataclass(frozen=True, slots=True)
class NewRow:
    """A notification as a row, the seconds of its delay, and the priority, trace and share of its delivery."""

    row: dict[str, Any]
    delay: float = 0.0
    priority: int = 0
    traceparent: str | None = None
    share: int = 0


def _write(session: Session, done: Sequence[JobResult]) -> None:
    """Write the notifications of these jobs."""
    write_rows(
        session,
        [
            NewRow(row, each.result.delays.get(row["id"], 0.0), each.priority, each.traceparent, each.job.share)
            for each in done
            for row in each.result.rows
        ],
    )


def write_rows(session: Session, new: Sequence[NewRow]) -> None:
    """Write notifications, and enqueue the delivery or the digest of those that are new."""
    by_id = {each.row["id"]: each for each in new}
    for each in new:
        if each.row["state"] == "delayed":
            each.row["traceparent"] = each.traceparent
    new_jobs: list[NewJob] = []
    for key in notifications.write(session, [each.row for each in new]):
        each, row = by_id[key], by_id[key].row
        if row["state"] == "enqueued":
            new_jobs.append(
                NewJob(row["channel"], key, priority=each.priority, traceparent=each.traceparent, share=each.share)
            )
        elif row["state"] == "delayed":
            new_jobs.append(digest.digest_job(row["channel"], row["recipient"], each.delay))
    jobs.enqueue(session, new_jobs)
