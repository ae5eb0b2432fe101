"""Presets: the columns and values of exports of other help desks, read from presets.yaml and recognised by the header."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from aura.desk.importing.report import InvalidImportFile

#: The preset of a file that no preset describes, and the name that switches recognition off.
GENERAL = "general"
#: The fields that a column can be mapped to.
FIELDS = (
    *("title", "description", "requester", "requester_name", "department", "priority", "external_id", "status"),
    *("created_at", "updated_at", "resolved_at", "closed_at", "category", "assignee", "resolution"),
)

#: Words of a column with an address, and those of one that is not the requester's.
_ADDRESS = re.compile(r"\be ?mails?\b|e ?mail ?adres|\bmailadres|\bcourriel|\bcorreo")
_OTHERS_ADDRESS = re.compile(
    r"\b(agent|assign\w*|owner|technician|techniker|bearbeiter\w*|zugewiesen\w*|recipients?|empfanger|to|an|cc|bcc|group"
    r"|team|count|anzahl|number|id|status|subject|betreff|template|sent|source|approver|manager|closed|resolved|updated)\b"
)
_SEPARATORS = re.compile(r"[\W_]+")


@lru_cache(maxsize=10_000)
def words(name: str) -> str:
    """Return the words of a column or a value, without case, accents and punctuation: "Caller.E-Mail" is "caller e mail"."""
    stripped = name.strip()
    if stripped == "#":
        return stripped
    # "% erledigt" is a share, "erledigt" is a date
    text = unicodedata.normalize("NFKD", stripped.casefold().replace("%", " percent "))
    return _SEPARATORS.sub(" ", "".join(char for char in text if not unicodedata.combining(char))).strip()


@dataclass(frozen=True, slots=True)
class Preset:
    """Columns of each field by preference, and the meaning of values; all names are `words`."""

    name: str
    header: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, ...]]
    status: Mapping[str, str]
    priority: Mapping[str, str]
    category: Mapping[str, str]
    #: Upper bounds of a numeric scale, in ascending order.
    priority_scale: tuple[tuple[float, str], ...] = ()

    @property
    def known(self) -> bool:
        """Whether it describes a help desk."""
        return self.name != GENERAL


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name, the general one last; each has the general columns and values after its own."""
    path = Path(__file__).with_name("presets.yaml")
    documents: dict[str, dict[str, Any]] = yaml.load(
        path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    general = documents.pop(GENERAL)
    return {name: _preset(name, own, general) for name, own in [*documents.items(), (GENERAL, general)]}


def preset_named(name: str) -> Preset:
    """Return the preset of a name, with any case. Raises InvalidImportFile."""
    preset = presets().get(words(name).replace(" ", ""))
    if preset is None:
        raise InvalidImportFile(f"no preset {name!r}; there are {', '.join(presets())}")
    return preset


def recognise(names: Iterable[str]) -> Preset:
    """Return the preset of the largest set of columns that the names contain, else the general one."""
    given = {words(name) for name in names}
    best, size = presets()[GENERAL], 0
    for preset in presets().values():
        for columns in preset.header:
            if len(columns) > size and columns <= given:
                best, size = preset, len(columns)
    return best


def column_of_field(names: Sequence[str], preset: Preset, given: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each field; `email` and `requester` are both there when the file has both.

    `given` maps fields to columns and comes first. Raises InvalidImportFile for a column that the file does not have, or
    has twice.
    """
    by_words: dict[str, str] = {}
    for name in names:
        by_words.setdefault(words(name), name)
    mapping: dict[str, str] = {}
    for field, column in given.items():
        if column not in names and words(column) not in by_words:
            raise InvalidImportFile(f"{field}={column}: no such column among {listed(names)}")
        mapping[field] = column if column in names else by_words[words(column)]
    taken = set(mapping.values())
    for field, candidates in preset.columns.items():
        column_name = next((by_words[each] for each in candidates if each in by_words), None)
        if field in mapping or column_name is None or (field == "email" and "requester" in given):
            continue
        if column_name not in taken:
            mapping[field] = column_name
    address = _address_column(by_words)
    if address and address not in mapping.values() and "email" not in mapping and "requester" not in given:
        mapping["email"] = address
    repeated = [column for column in mapping.values() if f"{column} (2)" in names]
    if repeated:
        raise InvalidImportFile(f"two columns are named {repeated[0]!r}: rename one")
    return mapping


def later_columns(names: Sequence[str], preset: Preset, mapping: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the further columns of a date, which a row with an empty first one is read from: opened_at, then sys_created_on."""
    by_words = {words(name): name for name in reversed(names)}
    taken = set(mapping.values())
    return {
        field: later
        for field in ("created_at", "updated_at")
        if field in mapping
        and (
            later := [
                by_words[each] for each in preset.columns[field] if by_words.get(each, mapping[field]) not in taken
            ]
        )
    }


def count_known(names: Iterable[str]) -> int:
    """Return how many of the names are those of columns with a field."""
    return len({words(name) for name in names} & _known_names())


def listed(names: Iterable[str]) -> str:
    """Return the names of columns for a message."""
    text = ", ".join(names)[:1_000]
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return (text if len(text) <= 300 else f"{text[:300]} ...") or "none"


def _address_column(by_words: Mapping[str, str]) -> str | None:
    """Return the only column whose name says that it has an address, and not that of an agent or of a recipient."""
    found = [name for each, name in by_words.items() if _ADDRESS.search(each) and not _OTHERS_ADDRESS.search(each)]
    return found[0] if len(found) == 1 else None


@cache
def _known_names() -> frozenset[str]:
    return frozenset(name for preset in presets().values() for names in preset.columns.values() for name in names)


def _preset(name: str, own: Mapping[str, Any], general: Mapping[str, Any]) -> Preset:
    # a field of the preset is read from its own columns, and from the general ones after them
    columns = {
        field: tuple(dict.fromkeys(map(words, [*own.get("columns", {}).get(field, ()), *names])))
        for field, names in general["columns"].items()
    }
    if "resolution" in own.get("columns", {}):
        columns["resolution"] = tuple(map(words, own["columns"]["resolution"]))
    return Preset(
        name=name,
        header=tuple(frozenset(map(words, each)) for each in own.get("header", ())),
        columns=columns,
        priority_scale=tuple((float(bound), priority) for bound, priority in own.get("priority_scale", ())),
        **{kind: _values(general[kind]) | _values(own.get(kind, {})) for kind in ("status", "priority", "category")},
    )


def _values(names_of: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {words(name): value for value, names in names_of.items() for name in names}
