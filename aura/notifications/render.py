"""Rendering: the subject and text of a notification, from a template by language and role and the facts of a ticket.

`templates/{language}/{role}.txt` holds subject and text, the subject in the first line. `channels.email.html` makes the HTML
part of a mail of the same text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from aura.notifications.recipients import AUDIENCE, URGENT
from aura.notifications.sanitize import block, one_line, without_links
from aura.settings import PRIORITIES, get_settings

if TYPE_CHECKING:
    from jinja2 import Environment

EVENTS = tuple(AUDIENCE)
#: The event of a digest.
DIGEST = "digest"
ROLES = ("requester", "agent", "team", "subscriber")
#: The only event of the role cc.
CC_EVENT = "ticket.commented"
#: Languages with templates for every role, and those with templates for requesters and people in Cc.
LANGUAGES = ("en", "de")
REQUESTER_LANGUAGES = (*LANGUAGES, "fr", "es", "it", "pt", "nl", "pl")

#: Characters of the parts of a ticket that a notification repeats; its page shows the whole text.
TITLE_LIMIT, NAME_LIMIT, LINE_LIMIT, TEXT_LIMIT = 120, 120, 300, 600
#: Characters of a reply of an agent, and of the subject of a mail that answers one.
REPLY_LIMIT, SUBJECT_LIMIT = 20_000, 200
#: What mail programs put before the subject of a reply, and Aura's own tag, which the subject gets once.
_REPLY_PREFIX = re.compile(r"(?:\s*(?:re|aw|antw|sv|vs|res|rif|odp|ynt)(?:\[\d{1,3}\])?\s?[:：])+\s*", re.IGNORECASE)
_TAG = re.compile(r"\s*\[(?:Aura )?#\d{1,18}\]\s*", re.IGNORECASE)
#: Tickets that a digest lists besides all urgent ones; the others are counted.
DIGEST_TICKETS_LIMIT = 50


@cache
def _templates() -> Environment:
    """Return the environment of the templates; a process that renders none does not load jinja2."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """The facts of a ticket that a notification may state; the requester gets neither `description` nor `reason`."""

    id: int
    title: str
    category: str
    priority: str
    description: str = ""
    reason: str = ""
    requester: str = ""
    assignee: str = ""
    duplicate_of: int | None = None
    #: A sentence about the event; the requester gets the resolution and a public comment only.
    note: str = ""
    #: internal or public; empty without a note.
    note_visibility: str = ""
    #: An agent wrote the note: its links stay, and it is not shortened to an excerpt.
    note_by_agent: bool = False
    #: The ticket came by mail: the subject of its requester's mails answers that mail.
    by_mail: bool = False
    #: The resolution target in local time; the requester does not get it.
    due: str = ""
    #: The text of the requester is withheld, because nobody verified that they wrote it.
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """The facts of a proposed incident that a notification states; `tickets` is their number."""

    id: int
    title: str
    category: str
    priority: str
    tickets: int


@dataclass(frozen=True, slots=True)
class DigestItem:
    """A delayed notification, as one item of a digest."""

    event: str
    ticket_id: int | None
    title: str
    category: str = ""
    priority: str = ""


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """A rendered notification: a subject of one line, and plain text."""

    subject: str
    text: str


def render_message(event: str, role: str, language: str, facts: TicketFacts, base_url: str) -> RenderedMessage:
    """Return the notification of an event to a recipient in that role.

    `language` may have a region (`de-AT`); one without a template becomes AURA_DEFAULT_LANGUAGE.
    The only link is `{base_url}/tickets/{id}`. Raises
    ValueError for an unknown event or role.
    """
    if event not in EVENTS or (role not in ROLES and (role, event) != ("cc", CC_EVENT)):
        raise ValueError(f"no template for event {event!r} and role {role!r}; events: {EVENTS}, roles: {ROLES}")
    template = _templates().get_template(f"{supported_language(language, role)}/{role}.txt")
    link = f"{base_url.rstrip('/')}/tickets/{int(facts.id)}"
    return _message(template.render(event=event, ticket=_sanitized(facts), link=link))


def render_incident(facts: IncidentFacts, language: str, base_url: str) -> RenderedMessage:
    """Return the notification of a proposed incident, with the link to the page where a person accepts or dismisses it."""
    text = (
        _templates()
        .get_template(f"{supported_language(language)}/incident.txt")
        .render(
            number=int(facts.id),
            title=_line(facts.title, TITLE_LIMIT),
            category=_line(facts.category, NAME_LIMIT),
            priority=_line(facts.priority, NAME_LIMIT),
            tickets=facts.tickets,
            link=incident_link(base_url, facts.id),
        )
    )
    return _message(text)


def incident_link(base_url: str, number: int) -> str:
    """Return the address at which a person accepts or dismisses an incident."""
    return f"{base_url.rstrip('/')}/incidents#incident-{int(number)}"


def without_text_of_requester(facts: TicketFacts) -> TicketFacts:
    """Return the facts without what the requester wrote; what an agent wrote stays.

    For mails to the requester and the people in Cc when the sender of the mail is not verified: a stranger would write to them
    in the name of the desk.
    """
    note = facts.note if facts.note_by_agent else ""
    return replace(facts, title="", description="", reason="", requester="", note=note, by_mail=False, withheld=True)


def render_digest(items: Sequence[DigestItem], language: str, base_url: str) -> RenderedMessage:
    """Return one message for all items: the number of each event, and a line for each ticket, highest priority first.

    Each urgent ticket has its line; of the others, those up to DIGEST_TICKETS_LIMIT. The link is that of the ticket when
    there is only one, else the list of tickets.
    """
    by_ticket: dict[object, list[DigestItem]] = {}
    for item in items:  # an item without a ticket gets a line of its own
        by_ticket.setdefault(object() if item.ticket_id is None else item.ticket_id, []).append(item)
    tickets = [_digest_ticket(group) for group in sorted(by_ticket.values(), key=_digest_order)]
    urgent = sum(each["priority"] in URGENT for each in tickets)
    listed = max(urgent, DIGEST_TICKETS_LIMIT)
    only = tickets[0]["id"] if len(tickets) == 1 else None
    link = f"{base_url.rstrip('/')}/tickets" + (f"/{only}" if only is not None else "")
    text = (
        _templates()
        .get_template(f"{supported_language(language)}/digest.txt")
        .render(
            count=len(items),
            counts=Counter(item.event for item in items).most_common(),
            tickets=tickets[:listed],
            more=len(tickets[listed:]),
            total=len(tickets),
            link=link,
        )
    )
    return _message(text)


def supported_language(language: str, role: str = "agent") -> str:
    """Return the language without its region, or AURA_DEFAULT_LANGUAGE when the role has no templates in it."""
    code = language.replace("_", "-").partition("-")[0].lower()
    for_requesters = role in ("requester", "cc")
    supported = REQUESTER_LANGUAGES if for_requesters else LANGUAGES
    if code in supported:
        return code
    default = get_settings().default_language
    return default if default in supported else "en"


def _digest_order(items: Sequence[DigestItem]) -> int:
    priority = items[-1].priority
    return -PRIORITIES.index(priority) if priority in PRIORITIES else 1


def _digest_ticket(items: Sequence[DigestItem]) -> dict[str, object]:
    newest = items[-1]
    return {
        "id": newest.ticket_id,
        "title": _line(newest.title, TITLE_LIMIT),
        "category": _line(newest.category, NAME_LIMIT),
        "priority": newest.priority if newest.priority in PRIORITIES else "",
        "events": list(dict.fromkeys(item.event for item in items)),
    }


def _message(text: str) -> RenderedMessage:
    subject, _, body = text.partition("\n")
    return RenderedMessage(subject, body.strip() + "\n")


@lru_cache(maxsize=64)
def _sanitized(facts: TicketFacts) -> dict[str, object]:
    """Return the facts within their limits and without clickable links, because anybody can write a ticket.

    The links of an agent's note stay: agents write to the requester, and nobody else writes in their name.
    """
    by_agent = facts.note_by_agent
    return {
        "id": int(facts.id),
        "title": _line(facts.title, TITLE_LIMIT),
        "category": _line(facts.category, NAME_LIMIT),
        "priority": _line(facts.priority, NAME_LIMIT),
        "reason": _line(facts.reason, LINE_LIMIT),
        "requester": _line(facts.requester, NAME_LIMIT),
        "assignee": _line(facts.assignee, NAME_LIMIT),
        "description": _lines(facts.description),
        "duplicate_of": facts.duplicate_of,
        "note": one_line(facts.note, REPLY_LIMIT) if by_agent else _line(facts.note, LINE_LIMIT),
        "comment": block(facts.note, REPLY_LIMIT).splitlines() if by_agent else _lines(facts.note),
        "internal": facts.note_visibility == "internal",
        "reply_to": _answered_subject(facts.title) if facts.by_mail else "",
        "due": _line(facts.due, NAME_LIMIT),
        "withheld": facts.withheld,
    }


def _answered_subject(title: str) -> str:
    """Return the subject of the requester's mail as replies repeat it: mail programs group mails by it."""
    subject = _TAG.sub(" ", title)
    found = _REPLY_PREFIX.match(subject)
    return _line(subject[found.end() :] if found else subject, SUBJECT_LIMIT)


def _line(text: str, limit: int) -> str:
    return without_links(one_line(text, limit))


def _lines(text: str) -> list[str]:
    return without_links(block(text, TEXT_LIMIT)).splitlines()
