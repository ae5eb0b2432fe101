"""Long polling: requests wait until their ticket is classified; all of them share one query every tenth of a second."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from aura.errors import Overloaded, TooManyRequests
from aura.web.slots import WAITS, Slots
from db import changes, reading

#: Seconds between two queries.
INTERVAL = 0.1
#: The longest wait in seconds. A request beyond the slots of its caller or of the process is answered immediately.
MAX_WAIT = 30.0


class LongPoll:
    """The waiting requests of one web process."""

    def __init__(self, slots: Slots = WAITS) -> None:
        self._slots = slots
        self._tickets: dict[asyncio.Future[None], int] = {}
        self._poller: asyncio.Task[None] | None = None

    async def classified(self, ticket_id: int, seconds: float, caller: str) -> None:
        """Return when the ticket is classified, or after that many seconds; at once if the caller waits too often."""
        if seconds <= 0:
            return
        with suppress(TooManyRequests, Overloaded), self._slots.holding(caller):
            await self._wait(ticket_id, seconds)

    async def _wait(self, ticket_id: int, seconds: float) -> None:
        verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets[verdict] = ticket_id
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(verdict, min(seconds, MAX_WAIT))
        finally:
            self._tickets.pop(verdict, None)

    async def _poll(self) -> None:
        while self._tickets:
            try:
                classified = await run_in_threadpool(_classified, sorted(set(self._tickets.values())))
            except SQLAlchemyError:
                classified = set()  # each request reads its ticket afterwards and reports the error
            for verdict, ticket_id in list(self._tickets.items()):
                if ticket_id in classified and not verdict.done():
                    verdict.set_result(None)
            await asyncio.sleep(INTERVAL)


def _classified(ids: list[int]) -> set[int]:
    with reading() as session:
        return changes.classified(session, ids)
