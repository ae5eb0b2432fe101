"""Actions of people on a ticket: correct, assign, comment, set the status, resolve, reopen.

Each action is one transaction on the locked ticket. It is recorded with its author and notifies the people concerned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from sqlalchemy.orm import Session

from actors.events import announce_event, event_job
from actors.notify import notify
from actors.sla import after_status_change, retargeted
from aura.ai.text.content import content_of_lines
from aura.ai.text.masking import mask
from aura.desk.replies import reply_recipients
from aura.errors import InvalidInput
from aura.notifications import PUBLIC_REPLY, Role, Visibility
from aura.notifications.addresses import spellings
from aura.notifications.sanitize import visible
from aura.settings import PRIORITIES, STATUSES, get_settings
from db import corrections, jobs, outbox, similar, ticket_actions, transaction
from db.ticket_actions import COMMENT_LIMIT, LockedTicket
from db.tickets import RESOLVED, SLA_RUNNING

#: The first line of an agent's mail that makes it a public reply.
PUBLIC_LINE = "#public"
#: Author of an action without a name.
OPERATOR = "operator"
#: The statuses that may follow each status; a ticket that is resolved or closed is reopened first.
WAYS = {
    "open": ("in_progress", "pending", "resolved", "closed"),
    "in_progress": ("open", "pending", "resolved", "closed"),
    "pending": ("open", "in_progress", "resolved", "closed"),
    "resolved": ("open", "closed"),
    "closed": ("open",),
}


class NotAllowed(InvalidInput):
    """A value does not exist, or the status of the ticket does not allow the action; the message lists the allowed values."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The status before and after, and the resolution target; `due_at` is None while no target runs."""

    before: str
    status: str
    due_at: datetime | None
    #: Number of the recorded action.
    number: int


def correct(ticket_id: int, author: str, category: str | None = None, priority: str | None = None) -> list[str]:
    """Set category or priority by hand, so that no engine overwrites it. Returns the fields that changed.

    A change notifies people. Raises NotAllowed for a value that does not exist, UnknownTicket.
    """
    choices = {"category": (category, get_settings().categories), "priority": (priority, PRIORITIES)}
    values = {field: _choice(field, value, allowed) for field, (value, allowed) in choices.items() if value is not None}
    if not values:
        raise NotAllowed("a correction needs a category, a priority or both")
    with transaction() as session:
        changed = corrections.correct(session, ticket_id, author, values)
        if "priority" in changed:
            ticket_actions.update_ticket(session, ticket_id, retargeted(ticket_actions.lock_ticket(session, ticket_id)))
        if changed:
            notify.send(ticket_id)
    return changed


def set_status(ticket_id: int, status: str, author: str = OPERATOR) -> StatusChange:
    """Set the status; a resolved and a reopened ticket notify people, as `resolve` and `reopen` do.

    Raises NotAllowed for a status that does not exist or may not follow the current one, UnknownTicket.
    """
    wanted = _choice("status", status.replace("-", "_"), STATUSES)
    with transaction() as session:
        if wanted == "resolved":
            return resolve(ticket_id, "", author)
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        if ticket.status in RESOLVED and wanted == "open":
            return reopen(ticket_id, author)
        return _change_status(session, ticket, wanted, author)


def resolve(
    ticket_id: int, resolution: str, author: str = OPERATOR, visibility: Visibility = "internal"
) -> StatusChange:
    """Resolve a ticket and notify its requester, who gets the text of a public resolution; similar tickets show the text.

    Raises NotAllowed when the ticket is resolved or closed already, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        change = _change_status(session, ticket, "resolved", author, resolution)
        corrections.resolve(session, ticket_id, resolution, visibility == "public")
        similar.index_resolved(session, [ticket_id], lambda text: mask(content_of_lines(text)).text)
        announce_event(session, ticket_id, "ticket.resolved", change.number, resolution, visibility)
    return change


def reopen(ticket_id: int, author: str = OPERATOR, reason: str = "", source: str = "cli") -> StatusChange:
    """Reopen a resolved or closed ticket and notify its assignee; the reason becomes a comment.

    The comment is internal, unless the requester is its author.

    Raises NotAllowed when the ticket is neither resolved nor closed, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        if ticket.status not in RESOLVED:
            raise NotAllowed(f"ticket {ticket_id} is {ticket.status}: only a resolved or closed ticket can be reopened")
        visibility: Visibility = "public" if _is_requester(ticket, author) else "internal"
        if reason.strip():
            _comment(session, ticket_id, author, reason, source, visibility)
        return _reopen(session, ticket, author, reason, visibility)


def assign(ticket_id: int, agent: str | None, author: str = OPERATOR) -> str:
    """Assign a ticket to an agent, by name or e-mail address, or with None to nobody. Routing does not change it again.

    Notifies the agent, or the team of a ticket without assignee, when the assignee changed. Returns the agent's name, or
    "". Raises NotAllowed for an unknown agent, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        name = "" if agent is None else ticket_actions.find_agent(session, agent)
        if name is None:
            raise NotAllowed(f"there is no agent {agent!r}")
        if name != ticket.assignee:
            ticket_actions.update_ticket(session, ticket_id, {"assignee": name})
            before = f" (before: {ticket.assignee})" if ticket.assignee else ""
            number = ticket_actions.record_action(session, ticket_id, author, f"assigned to {name or 'nobody'}{before}")
            announce_event(session, ticket_id, "ticket.assigned", number)
    return name


@dataclass(frozen=True, slots=True)
class AddedComment:
    """The number of a comment, and whether it is internal or public."""

    number: int
    visibility: Visibility


def comment(
    ticket_id: int,
    author: str,
    text: str,
    source: str = "cli",
    visibility: Visibility | None = None,
    recipients: Sequence[str] | None = None,
) -> AddedComment:
    """Add a comment; an open ticket is analyzed again with its public comments.

    An internal comment, the default, notifies the agent alone. A public one is a reply to the requester and the people in Cc.
    The requester's own comment is public unless `visibility` says otherwise, notifies the agent, and sets a pending ticket to
    open. `recipients` are those that the author saw, and must be the current ones. Raises NotAllowed for an empty or too long
    text or other recipients, UnknownTicket.
    """
    with transaction() as session:
        ticket = ticket_actions.lock_ticket(session, ticket_id)
        by_requester = _is_requester(ticket, author)
        chosen: Visibility = visibility or ("public" if by_requester else "internal")
        if recipients is not None and chosen == "public":
            _require_recipients(reply_recipients(session, ticket_id, ticket.requester), recipients)
        number = _comment(session, ticket_id, author, text, source, chosen)
        _announce_comment(session, ticket, number, text, author, chosen, by_requester)
        if by_requester and ticket.status == "pending":
            _change_status(session, ticket, "open", author)
    return AddedComment(number, chosen)


def _require_recipients(current: Sequence[str], seen: Sequence[str]) -> None:
    if set(current) != set(seen):
        now = ", ".join(current) or "nobody"
        raise NotAllowed(f"recipients: the reply would go to {now} now; reload the page, check them and send it again")


def comment_by_mail(session: Session, ticket_id: int, author: str, text: str) -> int:
    """Add a comment from an inbound mail in the open transaction, and notify the other side. Returns its number.

    The mail of an agent is an internal note, or with the first line `#public` a public reply. Any other is public and notifies
    the agent alone. A pending, resolved or closed ticket is open again, unless the author is an agent. Raises UnknownTicket.
    """
    ticket = ticket_actions.lock_ticket(session, ticket_id)
    # a mail program may write a domain as the agent's address does, in Unicode, or as xn--
    names = (ticket_actions.find_agent(session, each) for each in spellings(author))
    by_agent = not any(_is_requester(ticket, each) for each in spellings(author)) and any(names)
    visibility: Visibility = "public"
    if by_agent:
        visibility, text = _visibility_of_mail(text)
    number = _comment(session, ticket_id, author, text[:COMMENT_LIMIT], "mail", visibility)
    if ticket.status in RESOLVED and not by_agent:
        _reopen(session, ticket, author, text, visibility)
        return number
    _announce_comment(session, ticket, number, text, author, visibility, to_agent=not by_agent)
    if ticket.status == "pending" and not by_agent:
        _change_status(session, ticket, "open", author)
    return number


def _visibility_of_mail(text: str) -> tuple[Visibility, str]:
    """Return the visibility of an agent's mail, and its text without the line that makes it public."""
    first, _, rest = text.lstrip().partition("\n")
    if first.strip().casefold() == PUBLIC_LINE and rest.strip():
        return "public", rest.lstrip()
    return "internal", text


def _is_requester(ticket: LockedTicket, author: str) -> bool:
    """Compare the author with the requester, who may be stored as "Ann Lee <ann@example.com>"."""
    requester = ticket.requester.strip().casefold()
    return author.strip().casefold() in (requester, parseaddr(requester)[1])


def _announce_comment(
    session: Session,
    ticket: LockedTicket,
    number: int,
    text: str,
    author: str,
    visibility: Visibility,
    to_agent: bool,
) -> None:
    roles: tuple[Role, ...] = ("agent",) if to_agent or visibility == "internal" else PUBLIC_REPLY
    jobs.enqueue(session, [event_job(ticket.id, "ticket.commented", number, text, roles, visibility, author)])


def _reopen(session: Session, ticket: LockedTicket, author: str, reason: str, visibility: Visibility) -> StatusChange:
    change = _change_status(session, ticket, "open", author)
    # without resolved_at, similar tickets no longer show this resolution, which did not help
    ticket_actions.update_ticket(session, ticket.id, {"resolved_at": None})
    announce_event(session, ticket.id, "ticket.reopened", change.number, reason, visibility)
    return change


def _comment(session: Session, ticket_id: int, author: str, text: str, source: str, visibility: Visibility) -> int:
    # no escape sequence for a terminal, and no text that is shown in another order than it is stored
    text = visible(text)
    if not text.strip() or len(text) > COMMENT_LIMIT:
        raise NotAllowed(f"a comment has 1 to {COMMENT_LIMIT:,} characters, not {len(text.strip()):,}")
    number = ticket_actions.add_comment(session, ticket_id, author, text, source, visibility == "internal")
    event: dict[str, Any] = {"comment": number, "by": author, "source": source, "visibility": visibility}
    outbox.record(session, [("ticket.commented", ticket_id, event)])
    return number


def _change_status(session: Session, ticket: LockedTicket, status: str, author: str, reason: str = "") -> StatusChange:
    if status == ticket.status:
        raise NotAllowed(f"ticket {ticket.id} is {status} already")
    if status not in WAYS[ticket.status]:
        allowed = " or ".join(WAYS[ticket.status])
        raise NotAllowed(f"ticket {ticket.id} is {ticket.status} and can become {allowed}, not {status}")
    columns = after_status_change(ticket, status)
    ticket_actions.update_ticket(session, ticket.id, {"status": status, **columns})
    number = ticket_actions.record_action(
        session, ticket.id, author, f"{ticket.status} -> {status}" + (f": {reason}" if reason else "")
    )
    event = {"from": ticket.status, "to": status, "by": author}
    outbox.record(session, [("ticket.status_changed", ticket.id, event)])
    due_at = columns.get("due_at", ticket.due_at) if status in SLA_RUNNING else None
    return StatusChange(ticket.status, status, due_at, number)


def _choice(field: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return the allowed value that equals this one in any case. Raises NotAllowed."""
    for each in allowed:
        if each.lower() == value.strip().lower():
            return each
    raise NotAllowed(f"there is no {field} {value!r}; there are {', '.join(allowed)}")
