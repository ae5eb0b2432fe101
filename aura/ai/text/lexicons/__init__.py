"""Word lists and phrases as plain files, so that a service desk can edit them; ``#`` begins a comment line."""

from __future__ import annotations

from pathlib import Path


def lines(name: str) -> list[str]:
    """Return the lines of a file of this folder, without comments and empty lines."""
    found = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line for line in found if line and not line.startswith("#")]


def words(name: str) -> frozenset[str]:
    """Return the words of a file of this folder."""
    return frozenset(" ".join(lines(name)).split())
