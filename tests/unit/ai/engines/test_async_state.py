"""Asynchronous access to the shared state: calls that wait together share a round trip."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from aura.ai.engines.async_state import AsyncState
from aura.ai.engines.shared_state import MemoryState, MissingCounter, Op, SharedState, one_by_one


class Remote:
    """A shared state that is not in this process, and counts its round trips."""

    def __init__(self) -> None:
        self.memory = MemoryState()
        self.rounds: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def many(self, ops: Sequence[Op]) -> list[Any]:
        assert self.open.wait(60)
        self.rounds.append(len(ops))
        if self.error is not None:
            raise self.error
        return one_by_one(self.memory, ops)


def test_the_coroutines_are_those_of_the_shared_state(shared_state: SharedState) -> None:
    async def use() -> list[Any]:
        state = AsyncState(shared_state)
        await state.put("text", "x", 60)
        got = [await state.get("text"), await state.claim("c", 60), await state.claim("c", 60)]
        await state.delete("c")
        got += [await state.claim("c", 60), await state.reserve({"a": 5}, 3), await state.reserve({"a": 5}, 3)]
        await state.add("a", -3)
        return [*got, await state.reserve({"a": 5}, 5)]

    assert asyncio.run(use()) == ["x", True, False, True, None, "a", None]


def test_calls_that_wait_meanwhile_share_a_round_trip() -> None:
    remote = Remote()

    async def use() -> list[str | None]:
        state: Any = AsyncState(remote)  # type: ignore[arg-type]
        remote.open.clear()
        first = asyncio.create_task(state.get("first"))
        while not state._began > 0:
            await asyncio.sleep(0)
        others = [asyncio.create_task(state.get(str(number))) for number in range(50)]
        await asyncio.sleep(0)
        remote.open.set()
        return [await each for each in [first, *others]]

    assert asyncio.run(use()) == [None] * 51
    assert remote.rounds == [1, 50]


def test_an_error_is_that_of_its_call_and_one_of_the_round_trip_is_that_of_all() -> None:
    remote = Remote()

    async def use() -> None:
        state: Any = AsyncState(remote)  # type: ignore[arg-type]
        missing, text = await asyncio.gather(
            state.reserve({"day": 1}, 1, ("day",)), state.get("x"), return_exceptions=True
        )
        assert isinstance(missing, MissingCounter) and text is None
        remote.error = ValueError("broken")
        answers = await asyncio.gather(state.get("x"), state.get("y"), return_exceptions=True)
        assert [type(each) for each in answers] == [ValueError, ValueError]
        remote.error = None
        assert await state.get("x") is None

    asyncio.run(use())


def test_a_cancelled_caller_stops_no_other() -> None:
    remote = Remote()

    async def use() -> None:
        state: Any = AsyncState(remote)  # type: ignore[arg-type]
        remote.open.clear()
        cancelled, other = (asyncio.create_task(state.claim(name, 60)) for name in "ab")
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
        remote.open.set()
        assert await other is True
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    asyncio.run(use())
