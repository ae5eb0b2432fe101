"""Output of the commands: data on stdout as a table or JSON, everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Format = Literal["table", "json"]

# no emoji: `:smile:` in a ticket's text stays as it is
err = Console(stderr=True, highlight=False, emoji=False)
out = Console(highlight=False, emoji=False)

#: Columns that are copied into the next command: never wrapped or cut, not even on a narrow terminal.
IDENTIFIERS = ("id", "fingerprint", "newest", "queue", "version")


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], fmt: Format, empty: str) -> None:
    """Print rows as a table of the columns, or all of them as JSON; without rows a table prints ``empty`` on stderr."""
    if fmt == "json":
        print_json(rows)
        return
    if not rows:
        note(empty)
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in IDENTIFIERS)
    for row in rows:
        table.add_row(*(cell(row[column]) for column in columns))
    out.print(table)


def print_fields(values: dict[str, Any]) -> None:
    """Print one field a line, without the empty ones."""
    width = max(map(len, values))
    for name, value in values.items():
        if value not in (None, "", []):
            out.print(printable(f"{name:>{width}}  {value}"), markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print the value as JSON. Control and invisible characters are escaped, as C1 controls are commands to a terminal."""
    text = json.dumps(value, default=str, ensure_ascii=False, indent=2)
    if not text.replace("\n", "").isprintable():
        text = "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
    print(text)


def print_result(fmt: Format, value: Any, *lines: str) -> bool:
    """Print the value as JSON, or the lines as text. Returns whether text was printed."""
    if fmt == "json":
        print_json(value)
    else:
        print("\n".join(map(printable, lines)))
    return fmt != "json"


def note(text: str) -> None:
    """Print one line on stderr."""
    err.print(text, soft_wrap=True, markup=False)


def announce(text: str, *, stdout: bool = False) -> None:
    """Print one line of a process, on stderr by default; it is a line of the log where lines are JSON."""
    from aura.jobs.logs import configure_logging, logs_json

    if not logs_json():
        (out if stdout else err).print(text, soft_wrap=True, markup=False)
        return
    import structlog

    configure_logging()
    structlog.get_logger("aura").info(text)


def printable(text: str) -> str:
    """Replace control characters, so that the text of a ticket sends no escape sequence to the terminal."""
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
