"""`aura migrate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.commands import Run


def test_migrate_prints_the_revisions(run: Run, database_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=database_url)

    assert "(was empty)" in run("migrate").out
    assert "(nothing to do)" in run("migrate").out
