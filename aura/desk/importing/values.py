"""Values of an export in ours: status, priority, category, and the requester's address and name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aura.desk.importing.presets import Preset, words
from aura.notifications.addresses import parse_mailboxes
from db.new_tickets import parse_priority

#: Characters of a cell that are searched for addresses.
CELL_LIMIT = 1_000

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: "2 - High", "P1: Critical", "Hoch (3)".
_PARTS = re.compile(r"\s*[-–—:/()|.]\s*")
_IN_BRACKETS = re.compile(r"(?<=[^\s,;])\s*[(\[]([^\s()\[\]<>@]{1,64}@[^\s()\[\]<>@]{1,255})[)\]]")
#: "Severity 2", "Prio 1", "Priorität 3", "S1".
_LEVEL = re.compile(
    r"(?:severity|sev|prio|priority|priorität|priorité|prioridad|prioriteit|level|stufe|s)[ .:-]*(\d)", re.IGNORECASE
)
#: The number of "3 high", "5 sehr hoch", "2. Normal".
_LEADING_NUMBER = re.compile(r"\d{1,2}[.)]?\s+")


def read_status(text: str, preset: Preset, given: Mapping[str, str]) -> str | None:
    """Return our status for a status of the export; `given` maps its statuses first. None for an unknown one."""
    return given.get(words(text)) or _find(text, preset.status)


def read_priority(text: str, preset: Preset) -> str | None:
    """Return our priority for a priority of the export, by the numeric scale of its help desk. None for an unknown one."""
    if preset.priority_scale and _NUMBER.fullmatch(text.strip()):
        return next(priority for bound, priority in preset.priority_scale if float(text) < bound)
    text = _LEVEL.sub(r"P\1", text.strip()[:200])
    return _find(text, preset.priority) or parse_priority(text)


def read_category(text: str, preset: Preset, categories: Sequence[str]) -> str | None:
    """Return the configured category that a category of the export names. None for any other."""
    own = {words(category): category for category in categories}
    for part in (text, *re.split(r"\s*(?:>|/|::|\|)\s*", text)):
        found = own.get(words(part)) or own.get(words(preset.category.get(words(part), "")))
        if found:
            return found
    return None


def _find(text: str, values: Mapping[str, str]) -> str | None:
    """Return the value of the text, else of its parts, of its first words, or of its number: "2 - High", "Closed by caller"."""
    if value := values.get(words(text)):
        return value
    parts = [part for part in _PARTS.split(text[:200]) if part]
    parts.sort(key=lambda part: bool(_NUMBER.fullmatch(part)))
    if found := next((values[words(part)] for part in parts if words(part) in values), None):
        return found
    first = words(_LEADING_NUMBER.sub("", text[:200].strip(), count=1)).split()
    prefixes = (" ".join(first[:length]) for length in range(min(len(first), 4), 0, -1))
    return next((values[prefix] for prefix in prefixes if prefix in values and not prefix.isdecimal()), None)


def _angled(text: str) -> str:
    """Return a text with addresses in angle brackets: "Ada (ada@example.com)" is "Ada <ada@example.com>"."""
    return _IN_BRACKETS.sub(r" <\1>", text)


class Requester(NamedTuple):
    """A requester's address in lower case, or a user name, and the name that the export gives."""

    address: str
    name: str


def read_requester(email: str, person: str, name: str) -> Requester:
    """Return the requester of a row; an address wins over a name, wherever it is.

    "Ada <ADA@Example.com>" is the address ada@example.com and the name Ada. Of several addresses the first counts.
    """
    texts = [text.strip() for text in (email, person, name)]
    mailboxes = [mailbox for text in texts if "@" in text for mailbox in parse_mailboxes(_angled(text[:CELL_LIMIT]))]
    if not mailboxes:
        return Requester(texts[1] or texts[0] or texts[2], "")
    address = mailboxes[0].address
    names = [text for text in (texts[2], texts[1]) if text and "@" not in text]
    names += [mailbox.name for mailbox in mailboxes if mailbox.name and mailbox.address == address]
    return Requester(address, names[0] if names else "")
