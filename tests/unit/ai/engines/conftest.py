from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from aura.ai.engines.database_state import DatabaseState
from aura.ai.engines.shared_state import MemoryState, RedisState, SharedState
from tests.unit.ai.engines.scripted import remote, way

__all__ = ["remote", "shared_state", "way"]


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Begin at noon: a budget is that of a day, which must not end during a test."""
    with time_machine.travel(datetime.now(UTC).replace(hour=12, minute=0)):
        yield


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.integration) for name in ("redis", "postgresql"))]
)
def shared_state(request: pytest.FixtureRequest) -> SharedState:
    """Each kind of shared state, empty."""
    if request.param == "memory":
        return MemoryState()
    if request.param == "redis":
        return RedisState(request.getfixturevalue("redis_url"))
    request.getfixturevalue("postgres")
    return DatabaseState()
