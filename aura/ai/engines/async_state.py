"""Asynchronous access to the shared state: calls that wait at the same time share a round trip, in a thread.

Hundreds of calls of the AI provider in flight make thousands of calls of the shared state a second, each of which would cost
a transaction without Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from aura.ai.engines.shared_state import MemoryState, Op, Rate, SharedState

#: Seconds between the beginnings of two round trips; the first after a pause begins at once.
ROUND = 0.02


class AsyncState:
    """The methods of SharedState as coroutines of one event loop."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._waiting: list[tuple[Op, asyncio.Future[Any]]] = []
        self._rounds: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shared-state")
        self._began = float("-inf")
        #: The calls of the AI provider that run on this event loop, by the key of their answer; set when they are over.
        self.running: dict[str, asyncio.Event] = {}

    async def get(self, key: str) -> str | None:
        return cast("str | None", await self._run("get", key))

    async def put(self, key: str, value: str, seconds: float) -> None:
        await self._run("put", key, value, seconds)

    async def claim(self, key: str, seconds: float) -> bool:
        return bool(await self._run("claim", key, seconds))

    async def delete(self, key: str) -> None:
        await self._run("delete", key)

    async def reserve(self, limits: Mapping[str, int], amount: int, existing: Collection[str] = ()) -> str | None:
        return cast("str | None", await self._run("reserve", limits, amount, existing))

    async def add(self, key: str, amount: int) -> None:
        await self._run("add", key, amount)

    async def throttle(self, key: str, rate: Rate, units: int, longest: float) -> float | None:
        return cast("float | None", await self._run("throttle", key, rate, units, longest))

    async def _run(self, name: str, *arguments: Any) -> Any:
        op = Op(name, arguments)
        if isinstance(self._state, MemoryState):
            [result] = self._state.many([op])
        else:
            answer = asyncio.get_running_loop().create_future()
            self._waiting.append((op, answer))
            if self._rounds is None:
                self._rounds = asyncio.create_task(self._make_rounds())
            result = await answer
        if isinstance(result, Exception):
            raise result
        return result

    async def _make_rounds(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                if (pause := self._began + ROUND - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                self._began = time.monotonic()
                batch, self._waiting = self._waiting, []
                try:
                    results = await loop.run_in_executor(self._thread, self._state.many, [op for op, _ in batch])
                except Exception as error:  # every call must get an answer
                    results = [error] * len(batch)
                for (_, answer), result in zip(batch, results, strict=True):
                    if not answer.done():  # the caller was cancelled: its call was made all the same
                        answer.set_result(result)
        finally:
            self._rounds = None
