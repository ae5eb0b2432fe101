"""Fixtures of the authentication tests: fast passwords, no caches."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from cachetools import TTLCache

from aura.web.auth import identity
from db import users


@pytest.fixture(autouse=True)
def uncached(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read keys from the database at each request, and hash passwords fast."""
    monkeypatch.setattr(users, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(identity, "_valid_keys", TTLCache(1, 0))
    monkeypatch.setattr(identity, "_keys_exist", TTLCache(1, 0))
