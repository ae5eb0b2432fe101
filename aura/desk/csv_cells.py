"""CSV cells that no spreadsheet executes, whichever separator it splits the file by; `restore_cell` reads them back.

A spreadsheet splits a file by the separator of its language: a comma, a semicolon, a tab. So a formula may begin at the beginning
of a text, and after each separator and line break within it: quotes around the cell do not help there, because a quote
counts only at the beginning of a field. The source of the apostrophe is OWASP, CSV Injection.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

#: Columns of the export, by which the import recognises it.
EXPORT_COLUMNS = (
    *("id", "created_at", "title", "requester", "department", "category", "priority", "status", "assignee"),
    *("stage", "needs_review", "duplicate_of", "due_at"),
)

#: How a formula begins, also in the full-width and small forms of East Asian keyboards.
_FORMULA = re.compile("[=+@\N{FULLWIDTH EQUALS SIGN}＋－＠﹦﹢﹣﹫\N{MINUS SIGN}-]")
_SEPARATORS = frozenset(",;\t|\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_FIRST = ("\t", "\r", "\n")


def safe_cell(value: object) -> str:
    """Return the text of a cell, with an apostrophe before each place at which a spreadsheet may read a formula."""
    text = "" if value is None else str(value)
    return _with(text, sorted(set(_places(text))))


def restore_cell(text: str) -> str:
    """Return the text that `safe_cell` changed into this one."""
    # an apostrophe is part of the characters before a formula, so the places of a safe text are those of its original
    drop = {place for place in _places(text) if text[place : place + 1] == "'"}
    return "".join([char for place, char in enumerate(text) if place not in drop]) if drop else text


def write_row(values: Iterable[object]) -> str:
    """Return a CSV row with every cell safe and in quotes."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([safe_cell(value) for value in values])
    return line.getvalue()


def is_export(header: Sequence[str]) -> bool:
    """Return whether the header is the one of Aura's own export."""
    return tuple(header) == EXPORT_COLUMNS


def _with(text: str, places: Sequence[int]) -> str:
    if not places:
        return text
    return "'".join(text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True))


def _places(text: str) -> Iterator[int]:
    """Yield where a field with a formula may begin, in linear time: the characters before each formula sign are read once."""
    if text.lstrip("'").startswith(_FIRST):
        yield 0
    read = 0
    for sign in _FORMULA.finditer(text):
        at = sign.start()
        separator = None
        while at > read and _precedes(text[at - 1]):
            at -= 1
            if separator is None and text[at] in _SEPARATORS:
                separator = at + 1
        if at == 0:
            yield 0
        if separator is not None:
            yield separator
        read = sign.end()


@lru_cache(1_000)
def _precedes(char: str) -> bool:
    """Return whether a spreadsheet may skip the character before a formula: separators, quotes, blanks, invisible ones."""
    return (
        char in _SEPARATORS or char in "\"'" or char.isspace() or unicodedata.category(char) in ("Cc", "Cf", "Zs", "Mn")
    )
