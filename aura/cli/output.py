"""What the commands print: data on stdout as a table or JSON, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Format = Literal["table", "json"]

# no emoji: `:smile:` in a ticket's text is not ours to change
err = Console(stderr=True, highlight=False, emoji=False)
out = Console(highlight=False, emoji=False)


class Refused(Exception):
    """The command cannot do what was asked; the text says why and what to do."""


def show_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], how: Format, empty: str) -> None:
    """Print rows as a table of the columns, or all of them as JSON."""
    if how == "json":
        emit(rows)
        return
    if not rows:
        note(empty)
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:  # what is copied into the next command stays whole on a narrow terminal
        table.add_column(column, no_wrap=column in ("id", "fingerprint", "newest", "queue", "version"))
    for row in rows:
        table.add_row(*(cell(row[column]) for column in columns))
    out.print(table)


def show_fields(values: dict[str, Any]) -> None:
    """Print what one thing says of itself, a line each; what says nothing is left out."""
    width = max(map(len, values))
    for name, value in values.items():
        if value not in (None, "", []):
            out.print(printable(f"{name:>{width}}  {value}"), markup=False, soft_wrap=True)


def emit(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def tell(how: Format, value: Any, *lines: str) -> bool:
    """Print what was done: the value as JSON, or the lines for people. Returns whether people are told."""
    if how == "json":
        emit(value)
    else:
        print("\n".join(map(printable, lines)))
    return how != "json"


def note(text: str) -> None:
    """Print what is no data: on stderr, in one line."""
    err.print(text, soft_wrap=True, markup=False)


def printable(text: str) -> str:
    """Return the text without what would steer a terminal: escape sequences have no business in a ticket."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def cell(value: Any) -> str:
    """Return a value as a short text for one cell of a table."""
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = " ".join(printable(str(value)).split())
    return escape(text if len(text) <= 60 else text[:59] + "…")
