"""Live: a stream that says that something happened; whoever hears it asks for the page again.

One watcher a process looks every second while somebody listens, with one statement, whatever the database is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import structlog
from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from db import reading
from db.models import Attempt, DeadLetter, QueueControl, Ticket
from settings import first_line
from web.access import MAY_READ
from web.problems import problem

logger = structlog.get_logger("aura.web")
router = APIRouter(include_in_schema=False)

#: Seconds between two looks, and until a stream with nothing to say shows that it lives.
EVERY, BEAT = 1.0, 15.0
#: Listeners of one process.
MOST = 200


class Watcher:
    """Looks at what changed and wakes those who listen."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        return len(self._listeners) >= MOST

    async def listen(self) -> AsyncIterator[str]:
        """Yield the lines of a stream until the listener goes."""
        happened = asyncio.Event()
        self._listeners.add(happened)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield "retry: 2000\nevent: hello\ndata: {}\n\n"
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(happened.wait(), BEAT)
                yield "event: happened\ndata: {}\n\n" if happened.is_set() else ": still here\n\n"
                happened.clear()
        finally:
            self._listeners.discard(happened)

    async def _watch(self) -> None:
        seen: Any = None
        while self._listeners:
            try:
                found = await run_in_threadpool(_newest)
            except SQLAlchemyError as error:
                logger.warning("the database cannot be watched", error=first_line(error))
            else:
                if found != seen:
                    seen = found
                    for each in self._listeners:
                        each.set()
            await asyncio.sleep(EVERY)


def _newest() -> tuple[Any, ...]:
    with reading() as session:
        newest = [
            select(func.max(Ticket.id)),
            select(func.max(Attempt.id)),
            select(func.max(DeadLetter.id)),
            select(func.max(QueueControl.changed_at)),
        ]
        return tuple(session.execute(select(*[each.scalar_subquery() for each in newest])).one())


_watcher = Watcher()


@router.get("/live", dependencies=[MAY_READ])
async def live() -> Response:
    """Say that something happened, whenever it does."""
    if _watcher.full:
        return problem(503, "Too many listeners", "reload the page later", {"Retry-After": "30"})
    return StreamingResponse(
        _watcher.listen(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
