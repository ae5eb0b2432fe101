"""Values of an export in ours: status, priority, category, and the requester's address and name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aura.desk.importing.presets import Preset, words
from db.new_tickets import parse_priority

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: "2 - High", "P1: Critical", "Hoch (3)".
_PARTS = re.compile(r"\s*[-–—:/()|.]\s*")
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]{1,64}@[^\s<>()\[\]\"',;:@]{1,189}")
_ANGLE = re.compile(r"<([^<>]*)>")


def read_status(text: str, preset: Preset, given: Mapping[str, str]) -> str | None:
    """Return our status for a status of the export; `given` maps its statuses first. None for an unknown one."""
    return given.get(words(text)) or _find(text, preset.status)


def read_priority(text: str, preset: Preset) -> str | None:
    """Return our priority for a priority of the export, by the numeric scale of its help desk. None for an unknown one."""
    if preset.priority_scale and _NUMBER.fullmatch(text.strip()):
        return next(priority for bound, priority in preset.priority_scale if float(text) < bound)
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
    first = words(text[:200]).split()
    prefixes = (" ".join(first[:length]) for length in range(min(len(first), 4), 0, -1))
    return next((values[prefix] for prefix in prefixes if prefix in values and not prefix.isdecimal()), None)


class Requester(NamedTuple):
    """A requester's address in lower case, or a user name, and the name that the export gives."""

    address: str
    name: str


def read_requester(email: str, person: str, name: str) -> Requester:
    """Return the requester of a row; an address wins over a name, wherever it is.

    "Ada <ADA@Example.com>" is the address ada@example.com and the name Ada. Of several addresses the first counts.
    """
    address = find_address(email) or find_address(person) or find_address(name)
    names = (_without_address(each) for each in (name, person, email))
    full_name = next((each for each in names if each and not find_address(each)), "")
    return Requester(address or person.strip() or email.strip() or name.strip(), full_name if address else "")


def find_address(text: str) -> str:
    """Return the first e-mail address of a text in lower case, or ""."""
    angle = _ANGLE.search(text)
    for part in (angle[1] if angle else "", text):
        if found := _ADDRESS.search(part[:1000]):
            return found[0].strip(".").lower()
    return ""


def _without_address(text: str) -> str:
    """Return the display name before or after an address."""
    before, angle, _ = text[:1000].partition("<")
    rest = before if angle else _ADDRESS.sub("", before)
    return " ".join(rest.strip(" \t\"'()[];,").removeprefix("mailto:").split())
