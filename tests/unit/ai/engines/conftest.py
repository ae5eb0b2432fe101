from __future__ import annotations

import pytest

from aura.ai.engines.shared_state import MemoryState, RedisState, SharedState
from tests.unit.ai.engines.scripted import remote

__all__ = ["remote", "shared_state"]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def shared_state(request: pytest.FixtureRequest) -> SharedState:
    return MemoryState() if request.param == "memory" else RedisState(request.getfixturevalue("redis_url"))
