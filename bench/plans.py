"""The plans of every statement that the real workers and the relay run, as PostgreSQL itself logs them (auto_explain).

A statement is refused when it reads a big table from end to end, or more rows than a round of work can need.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from psycopg2 import sql

from bench.rounds import Round

#: Rows that make a table big, and the most that one scan of a statement may read.
BIG, MOST_READ = 10_000, 20_000
#: The settings of auto_explain; log_analyze reports how many rows were read.
LOGGING = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
}


@dataclass(slots=True)
class Statement:
    """A statement without its values, with how it reached its rows."""

    text: str
    runs: int
    access: list[str]
    most_read: int
    trouble: str = ""


@contextmanager
def logged(round_: Round) -> Iterator[list[Statement]]:
    """Explain what runs meanwhile on new connections of the round's database; the list is filled at the end."""
    name = sql.Identifier(urlsplit(round_.database).path[1:])
    log = round_.servers.postgresql.directory / "output.log"
    found: list[Statement] = []
    with round_.connection.cursor() as cursor:
        for setting, value in LOGGING.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            cursor.execute(statement.format(name, sql.SQL(setting), sql.Literal(value)))
        start = log.stat().st_size
        try:
            yield found
        finally:
            cursor.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > %s", (BIG,))
        found += statements(log, start, {table for (table,) in cursor})


def statements(log: Path, start: int, big: set[str]) -> list[Statement]:
    """Return each different statement of the log from an offset on, those in trouble first."""
    found: dict[str, Statement] = {}
    for plan in plans(log, start):
        text = without_values(plan["Query Text"])
        statement = found.setdefault(text, Statement(text, 0, [], 0))
        statement.runs += 1
        for node in nodes(plan["Plan"]):
            table, read = node["Relation Name"], rows_read(node)
            access = f"{node.get('Index Name') or node['Node Type']} on {table}"
            if access not in statement.access:
                statement.access.append(access)
            statement.most_read = max(statement.most_read, read)
            if node["Node Type"] == "Seq Scan" and table in big:
                statement.trouble = f"reads all of {table}"
            elif read > MOST_READ:
                statement.trouble = f"reads {read:,} rows of {table}"
    return sorted(found.values(), key=lambda each: (not each.trouble, -each.runs))


def plans(log: Path, start: int) -> Iterator[dict[str, Any]]:
    """Yield the logged plans; continued lines begin with a tab."""
    lines: list[str] | None = None
    with log.open(errors="replace") as file:
        file.seek(start)
        for line in file:
            if lines is not None and line.startswith("\t"):
                lines.append(line)
                continue
            if lines:
                yield json.loads("".join(lines))
            lines = [] if line.endswith("plan:\n") else None
    if lines:
        yield json.loads("".join(lines))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that read a table."""
    if "Relation Name" in plan and plan["Node Type"].endswith("Scan"):
        yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def rows_read(node: dict[str, Any]) -> int:
    """Return how many rows the node took from its table or index, wanted or not."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def without_values(text: str) -> str:
    """Return the statement with its values and the name it was prepared under left out, so that the same statement is one."""
    text = re.sub(r"^PREPARE \w+ AS ", "", text)
    text = re.sub(r"E?'(?:[^'\\]|''|\\.)*'|\b\d+(?:\.\d+)?\b", "?", text)
    text = re.sub(r"\?(?:::[a-z]+(?: [a-z]+)*(?:\[\])?)?(?:,\s*(?:\?|NULL)(?:::[a-z]+(?:\[\])?)?)+", "?, ...", text)
    text = re.sub(r"(\([^()]*\?[^()]*\))(?:,\s*\([^()]*\?[^()]*\))+", r"\1, ...", text)
    return " ".join(text.split())
