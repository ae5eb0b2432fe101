"""Fixtures of the authentication tests: no caches."""

from __future__ import annotations

import pytest
from cachetools import TTLCache

from aura.web.auth import identity


@pytest.fixture(autouse=True)
def uncached(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read keys from the database at each request."""
    monkeypatch.setattr(identity, "_valid_keys", TTLCache(1, 0))
