from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from aura.ai.engines.shared_state import MemoryState, RedisState, SharedState
from tests.unit.ai.engines.scripted import remote

__all__ = ["remote", "shared_state"]


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Begin at noon: a budget is that of a day, which must not end during a test."""
    with time_machine.travel(datetime.now(UTC).replace(hour=12, minute=0)):
        yield


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def shared_state(request: pytest.FixtureRequest) -> SharedState:
    return MemoryState() if request.param == "memory" else RedisState(request.getfixturevalue("redis_url"))
