"""What a person of the service desk does to a ticket: correct what an engine said, give it to somebody, add a comment,
say how far it is, resolve it, open it again.

Each is one transaction on the locked ticket, remembered with who did it, and told to whom it concerns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr

from sqlalchemy.orm import Session

from actors.events import announce_event, event_job
from actors.notify import notify
from actors.sla import after_status_change, retargeted
from aura.ai.text.masking import mask
from aura.errors import InvalidInput
from aura.notifications import Role
from aura.settings import PRIORITIES, STATUSES, get_settings
from db import corrections, jobs, outbox, similar, ticket_actions, transaction
from db.ticket_actions import COMMENT_LIMIT, LockedTicket
from db.tickets import RESOLVED, SLA_RUNNING

#: Who does what nobody's name is given for.
OPERATOR = "operator"
#: Where a ticket can go from each status; what is over is opened again first.
WAYS = {
    "open": ("in_progress", "pending", "resolved", "closed"),
    "in_progress": ("open", "pending", "resolved", "closed"),
    "pending": ("open", "in_progress", "resolved", "closed"),
    "resolved": ("open", "closed"),
    "closed": ("open",),
}


class NotAllowed(InvalidInput):
    """The value is none of those there are, or the ticket is not so far; the text says what there is."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The status a ticket had and has, and when it is due now; None when no time runs."""

    before: str
    status: str
    due_at: datetime | None
    #: The number of the action.
    number: int


def correct(ticket_id: int, author: str, category: str | None = None, priority: str | None = None) -> list[str]:
    """Set category or priority for good and tell people if that changes something. Returns what changed.

    Raises NotAllowed for a value that is not of the list, UnknownTicket.
    """
    choices = {"category": (category, get_settings().categories), "priority": (priority, PRIORITIES)}
    said = {field: _one_of(field, value, known) for field, (value, known) in choices.items() if value is not None}
    if not said:
        raise NotAllowed("say what it is: a category, a priority or both")
    with transaction() as session:
        changed = corrections.correct(session, ticket_id, author, said)
        if "priority" in changed:
            ticket_actions.update_ticket(session, ticket_id, retargeted(ticket_actions.lock_ticket(session, ticket_id)))
        if changed:
            notify.send(ticket_id)
    return changed


def set_status(ticket_id: int, status: str, author: str = OPERATOR) -> Moved:
    """Say how far a ticket is; to resolve it and to open it again tells people, as `resolve` and `reopen` do.

    Raises NotAllowed for a status that there is not or that the ticket cannot get now, UnknownTicket.
    """
    wanted = _one_of("status", status.replace("-", "_"), STATUSES)
    with transaction() as session:
        if wanted == "resolved":
            return resolve(ticket_id, "", author)
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        if ticket.status in RESOLVED and wanted == "open":
            return reopen(ticket_id, author)
        return _move(session, ticket, wanted, author)


def resolve(ticket_id: int, resolution: str, author: str = OPERATOR) -> Moved:
    """Record what resolved a ticket, and tell who reported it; later tickets like it are shown that.

    Raises NotAllowed when it is resolved or closed already, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        done = _move(session, ticket, "resolved", author, resolution)
        corrections.resolve(session, ticket_id, resolution)
        similar.index_resolved(session, [ticket_id], lambda said: mask(said).text)
        announce_event(session, ticket_id, "ticket.resolved", done.number, resolution)
    return done


def reopen(ticket_id: int, author: str = OPERATOR, reason: str = "", source: str = "cli") -> Moved:
    """Open a resolved or closed ticket again, and tell who has it; the reason becomes a comment.

    Raises NotAllowed when it is not over, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        if ticket.status not in RESOLVED:
            raise NotAllowed(f"ticket {ticket_id} is {ticket.status}: there is nothing to open again")
        if reason.strip():
            _comment(session, ticket_id, author, reason, source)
        return _open_again(session, ticket, author, reason)


def assign(ticket_id: int, agent: str | None, author: str = OPERATOR) -> str:
    """Give a ticket to an agent, by name or e-mail address, or with None to nobody; no routing changes that again.

    Returns the agent's name, or "". The agent is told, or the team when nobody has it, unless it was so before.
    Raises NotAllowed for somebody who is no agent, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        name = "" if agent is None else ticket_actions.find_agent(session, agent)
        if name is None:
            raise NotAllowed(f"there is no agent {agent!r}; `aura agents list` shows those there are")
        if name != ticket.assignee:
            ticket_actions.update_ticket(session, ticket_id, {"assignee": name})
            before = f", not to {ticket.assignee} any more" if ticket.assignee else ""
            number = ticket_actions.record_action(session, ticket_id, author, f"given to {name or 'nobody'}{before}")
            announce_event(session, ticket_id, "ticket.assigned", number)
    return name


def comment(ticket_id: int, author: str, text: str, source: str = "cli") -> int:
    """Add a comment, which an engine reads within a minute or so. Returns its number.

    Of the requester's the agent is told, of anybody else's the requester. When the requester answers, a ticket that waits
    for that is open again. Raises NotAllowed for an empty or too long text, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        number = _comment(session, ticket_id, author, text, source)
        asked = _reported(ticket, author)
        _told(session, ticket, number, text, "agent" if asked else "requester")
        if asked and ticket.status == "pending":
            _move(session, ticket, "open", author)
    return number


def answer(session: Session, ticket_id: int, author: str, text: str) -> int:
    """Add a comment that came by mail, as part of the open transaction, and tell the other side. Returns its number.

    What waited for an answer, or was over, is open again, unless an agent wrote it. Raises UnknownTicket.
    """
    ticket = ticket_actions.lock_ticket(session, ticket_id)
    ours = not _reported(ticket, author) and ticket_actions.find_agent(session, author) is not None
    number = _comment(session, ticket_id, author, text[:COMMENT_LIMIT], "mail")
    if ticket.status in RESOLVED and not ours:
        _open_again(session, ticket, author, text)
        return number
    _told(session, ticket, number, text, "requester" if ours else "agent")
    if ticket.status == "pending" and not ours:
        _move(session, ticket, "open", author)
    return number


def _reported(ticket: LockedTicket, author: str) -> bool:
    """Return whether the author is who reported the ticket, maybe as "Ann Lee <ann@example.com>"."""
    asked = ticket.requester.strip().casefold()
    return author.strip().casefold() in (asked, parseaddr(asked)[1])


def _told(session: Session, ticket: LockedTicket, number: int, text: str, role: Role) -> None:
    jobs.enqueue(session, [event_job(ticket.id, "ticket.commented", number, text, (role,))])


def _open_again(session: Session, ticket: LockedTicket, author: str, reason: str) -> Moved:
    done = _move(session, ticket, "open", author)
    ticket_actions.update_ticket(session, ticket.id, {"resolved_at": None})  # what did not help is shown to nobody
    announce_event(session, ticket.id, "ticket.reopened", done.number, reason)
    return done


def _comment(session: Session, ticket_id: int, author: str, text: str, source: str) -> int:
    if not text.strip() or len(text) > COMMENT_LIMIT:
        raise NotAllowed(f"a comment is 1 to {COMMENT_LIMIT:,} characters, not {len(text.strip()):,}")
    number = ticket_actions.add_comment(session, ticket_id, author, text, source)
    outbox.record(session, [("ticket.commented", ticket_id, {"comment": number, "by": author, "source": source})])
    return number


def _move(session: Session, ticket: LockedTicket, status: str, author: str, words: str = "") -> Moved:
    if status == ticket.status:
        raise NotAllowed(f"ticket {ticket.id} is {status} already")
    if status not in WAYS[ticket.status]:
        ways = " or ".join(WAYS[ticket.status])
        raise NotAllowed(f"ticket {ticket.id} is {ticket.status}; from there it can only become {ways}, not {status}")
    columns = after_status_change(ticket, status)
    ticket_actions.update_ticket(session, ticket.id, {"status": status, **columns})
    number = ticket_actions.record_action(
        session, ticket.id, author, f"{ticket.status} -> {status}" + (f": {words}" if words else "")
    )
    said = {"from": ticket.status, "to": status, "by": author}
    outbox.record(session, [("ticket.status_changed", ticket.id, said)])
    runs = status in SLA_RUNNING
    return Moved(ticket.status, status, columns.get("due_at", ticket.due_at) if runs else None, number)


def _one_of(field: str, value: str, known: tuple[str, ...]) -> str:
    found = next((each for each in known if each.lower() == value.strip().lower()), None)
    if found is None:
        raise NotAllowed(f"{value!r} is no {field}; there are {', '.join(known)}")
    return found
