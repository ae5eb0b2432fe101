"""Aura in this process, on a database that each test finds empty."""

from __future__ import annotations

from collections import Counter

import pytest
from argon2 import PasswordHasher

from aura.web.auth import security_events
from db import passwords
from tests.commands import run
from tests.embedded import *  # noqa: F403
from tests.unit.desk.stored_settings import slack
from tests.unit.remote_engine import remote
from tests.unit.traced import untraced

__all__ = ["remote", "run", "slack", "untraced"]


@pytest.fixture(autouse=True)
def fast_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords fast; argon2id with its real parameters takes longer than most tests."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(autouse=True)
def no_refused_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without refused requests of other tests, and write none after the end of the test."""
    monkeypatch.setattr(security_events.events, "_counts", Counter())
    monkeypatch.setattr(security_events.SecurityEvents, "_start_timer", lambda _self: None)
