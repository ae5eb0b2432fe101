"""What a notice says: templates by language and role, filled with the facts of one ticket.

``templates/{language}/{role}.txt`` holds subject and body, the subject in the first line. The HTML of a mail is that same
text, escaped, in ``templates/message.html``, so no wording exists twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aura.notifications.recipients import AUDIENCE
from aura.notifications.sanitize import block, one_line, without_links
from aura.settings import PRIORITIES

EVENTS = tuple(AUDIENCE)
#: The event of a notice that stands for several.
DIGEST = "digest"
ROLES = ("requester", "agent", "team", "subscriber")
LANGUAGES = ("en", "de")

#: Longest parts of a ticket that a notice repeats, in characters; the rest is behind the link.
_TITLE, _NAME, _REASON, _DESCRIPTION = 120, 120, 300, 600
#: Most tickets that a digest names; the others are counted.
NAMED = 50

_TEMPLATES = Path(__file__).parent / "templates"
_templates = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
#: Filled with what is escaped already; they are so plain that Jinja would take ten times as long for nothing.
_PAGE, _PARAGRAPH = (_TEMPLATES / "message.html").read_text(), '<p style="margin:0 0 16px">\n{}\n</p>'


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What a notice may say about a ticket; the requester never gets ``description`` and ``reason``, others do."""

    id: int
    title: str
    category: str
    priority: str
    description: str = ""
    reason: str = ""
    requester: str = ""
    assignee: str = ""
    duplicate_of: int | None = None
    #: A sentence about the event, such as what resolved it; the requester gets it of a resolved ticket and of a comment alone.
    note: str = ""
    #: Until when it should be resolved, in words; the requester does not get it.
    due: str = ""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """A notice that did not go out by itself."""

    event: str
    ticket_id: int | None
    title: str
    category: str = ""
    priority: str = ""


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """A notice in words: one line of subject, and plain text."""

    subject: str
    text: str


def render_message(event: str, role: str, language: str, facts: TicketFacts, base_url: str) -> RenderedMessage:
    """Return what to say about the event to somebody in that role.

    ``language`` may carry a region (``de-AT``); an unknown one is English. The only link leads to
    ``{base_url}/tickets/{id}``. Raises ValueError for an event or role that has no wording.
    """
    if event not in EVENTS or role not in ROLES:
        raise ValueError(f"no wording for {event!r} to {role!r}: events are {EVENTS}, roles are {ROLES}")
    spoken = _spoken(language)
    link = f"{base_url.rstrip('/')}/tickets/{int(facts.id)}"
    letter = _templates.get_template(f"{spoken}/{role}.txt").render(event=event, ticket=_readable(facts), link=link)
    return _wording(letter)


def render_digest(notices: Sequence[DigestItem], language: str, base_url: str) -> RenderedMessage:
    """Return one notice that stands for all of these: how many of what, and a line for each ticket, urgent ones first.

    The link leads to the ticket when there is only one, else to all tickets.
    """
    spoken = _spoken(language)
    of: dict[object, list[DigestItem]] = {}
    for each in notices:  # what belongs to no ticket is a matter of its own
        of.setdefault(object() if each.ticket_id is None else each.ticket_id, []).append(each)
    matters = sorted(of.values(), key=lambda its: -PRIORITIES.index(p) if (p := its[-1].priority) in PRIORITIES else 1)
    lines = [
        {
            "id": its[-1].ticket_id,
            "title": without_links(one_line(its[-1].title, _TITLE)),
            "category": without_links(one_line(its[-1].category, _NAME)),
            "priority": its[-1].priority if its[-1].priority in PRIORITIES else "",
            "events": list(dict.fromkeys(each.event for each in its)),
        }
        for its in matters
    ]
    only = lines[0]["id"] if len(lines) == 1 else None
    link = f"{base_url.rstrip('/')}/tickets" + (f"/{only}" if only is not None else "")
    letter = _templates.get_template(f"{spoken}/digest.txt").render(
        count=len(notices),
        counts=Counter(each.event for each in notices).most_common(),
        tickets=lines[:NAMED],
        more=len(lines[NAMED:]),
        total=len(lines),
        link=link,
    )
    return _wording(letter)


def as_html(wording: RenderedMessage, language: str, link: str) -> str:
    """Return the HTML page that says the same, in which the line that is the link leads there."""
    here = escape(link)
    anchor = f'\n<a href="{here}" style="color:#1a56c4">{here}</a>\n'
    text = f"\n{escape(wording.text.strip())}\n".replace(f"\n{here}\n", anchor).strip("\n")
    paragraphs = [_PARAGRAPH.format(part.replace("\n", "<br>\n")) for part in text.split("\n\n")]
    subject = escape(wording.subject)
    return _PAGE.format(language=_spoken(language), subject=subject, paragraphs="\n".join(paragraphs))


def _spoken(language: str) -> str:
    spoken = language.replace("_", "-").partition("-")[0].lower()
    return spoken if spoken in LANGUAGES else "en"


def _wording(letter: str) -> RenderedMessage:
    subject, _, text = letter.partition("\n")
    return RenderedMessage(subject, text.strip() + "\n")


@lru_cache(maxsize=64)
def _readable(facts: TicketFacts) -> dict[str, object]:
    """Return the facts cut to size and disarmed: a stranger wrote them, and our name is on the mail."""

    def line(text: str, limit: int) -> str:
        return without_links(one_line(text, limit))

    return {
        "id": int(facts.id),
        "title": line(facts.title, _TITLE),
        "category": line(facts.category, _NAME),
        "priority": line(facts.priority, _NAME),
        "reason": line(facts.reason, _REASON),
        "requester": line(facts.requester, _NAME),
        "assignee": line(facts.assignee, _NAME),
        "quote": without_links(block(facts.description, _DESCRIPTION)).splitlines(),
        "duplicate_of": facts.duplicate_of,
        "note": line(facts.note, _REASON),
        "said": without_links(block(facts.note, _DESCRIPTION)).splitlines(),
        "due": line(facts.due, _NAME),
    }
