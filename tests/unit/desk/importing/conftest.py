"""Files to import."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aura.desk.importing import ImportOptions, ImportReport, import_tickets


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a file of this name; .gz compresses it."""

    def write(content: str | bytes, name: str = "tickets.csv") -> Path:
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., ImportReport]:
    """A function that writes a file of this name and imports it with these options."""

    def load(content: str | bytes, name: str = "tickets.csv", **options: Any) -> ImportReport:
        return import_tickets(write(content, name), ImportOptions(**options))

    return load
