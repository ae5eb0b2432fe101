"""Word lists and phrases as text files that a service desk can edit; ``#`` begins a comment line."""

from __future__ import annotations

import re
from pathlib import Path

#: A group that captures. Groups in these files only group, and capturing them costs four times as much.
_CAPTURING_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def lines(name: str) -> list[str]:
    """Return the lines of a file of this folder, without comments and empty lines."""
    content = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [line for line in content.splitlines() if line and not line.startswith("#")]


def words(name: str) -> frozenset[str]:
    """Return the words of a file of this folder."""
    return frozenset(" ".join(lines(name)).split())


def alternation(patterns: list[str]) -> str:
    """Return a regular expression that matches where one of the patterns matches, without capturing groups."""
    return "(?:" + "|".join(_CAPTURING_GROUP.sub("(?:", pattern) for pattern in patterns) + ")"
