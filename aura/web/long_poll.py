"""Waiting until tickets have a verdict: all who wait share one look at the database every tenth of a second."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from db import changes, reading

#: Seconds between two looks, the longest wait, and requests that wait at once; a further one is answered at once.
EVERY, LONGEST, MOST = 0.1, 30.0, 500


class LongPoll:
    """Those who wait in one web process."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._looking: asyncio.Task[None] | None = None

    async def decided(self, ticket_id: int, seconds: float) -> None:
        """Return when the ticket has a verdict, or when the time is up."""
        if seconds <= 0 or len(self._waiting) >= MOST:
            return
        verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[verdict] = ticket_id
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(verdict, min(seconds, LONGEST))
        finally:
            self._waiting.pop(verdict, None)

    async def _look(self) -> None:
        while self._waiting:
            try:
                found = await run_in_threadpool(_decided, sorted(set(self._waiting.values())))
            except SQLAlchemyError:
                found = set()  # whoever waits reads the ticket afterwards, and is told that the database is away
            for verdict, ticket_id in list(self._waiting.items()):
                if ticket_id in found and not verdict.done():
                    verdict.set_result(None)
            await asyncio.sleep(EVERY)


def _decided(ids: list[int]) -> set[int]:
    with reading() as session:
        return changes.decided(session, ids)
