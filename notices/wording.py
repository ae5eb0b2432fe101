"""What a notice says: templates by language and role, filled with the facts of one ticket.

``templates/{language}/{role}.txt`` holds subject and body, the subject in the first line. The HTML is made from that
same text by ``templates/message.html``, where everything is escaped, so no wording exists twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from notices.safe import block, one_line, without_links

EVENTS = ("ticket.classified", "ticket.reclassified", "ticket.escalated")
ROLES = ("requester", "agent", "team")
LANGUAGES = ("en", "de")

#: Longest parts of a ticket that a notice repeats, in characters; the rest is behind the link.
_TITLE, _NAME, _REASON, _DESCRIPTION = 120, 120, 300, 600

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


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


@dataclass(frozen=True, slots=True)
class Wording:
    """A notice in words: one line of subject, plain text, and the same as an HTML page."""

    subject: str
    text: str
    html: str


def word(event: str, role: str, language: str, facts: TicketFacts, base_url: str) -> Wording:
    """Return what to say about the event to somebody in that role.

    ``language`` may carry a region (``de-AT``); an unknown one is English. The only link leads to
    ``{base_url}/tickets/{id}``. Raises ValueError for an event or role that has no wording.
    """
    if event not in EVENTS or role not in ROLES:
        raise ValueError(f"no wording for {event!r} to {role!r}: events are {EVENTS}, roles are {ROLES}")
    spoken = language.replace("_", "-").partition("-")[0].lower()
    spoken = spoken if spoken in LANGUAGES else "en"
    link = f"{base_url.rstrip('/')}/tickets/{int(facts.id)}"
    letter = _templates.get_template(f"{spoken}/{role}.txt").render(event=event, ticket=_readable(facts), link=link)
    subject, _, text = letter.partition("\n")
    text = text.strip() + "\n"
    paragraphs = [paragraph.splitlines() for paragraph in text.split("\n\n")]
    html = _templates.get_template("message.html").render(
        language=spoken, subject=subject, paragraphs=paragraphs, link=link
    )
    return Wording(subject, text, html)


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
    }
