"""Live updates as server-sent events: which tickets changed, and what they are now."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import structlog
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from aura.settings import first_line
from aura.web.auth.identity import Reader
from aura.web.problems import problem
from db import changes, reading
from db.changes import Cursor

logger = structlog.get_logger("aura.web")
router = APIRouter(tags=["events"])

#: Seconds between two looks, until a silent stream shows that it lives, and that a stream lasts; a browser comes again.
EVERY, BEAT, LASTS = 1.0, 15.0, 600.0
#: Streams of one process, and what one may have unread before it is closed.
MOST, UNREAD = 100, 20


class Feed:
    """Looks once a second while somebody listens, with three short statements, and tells everybody."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[list[dict[str, Any]] | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self.stopping = False

    @property
    def full(self) -> bool:
        return len(self._listeners) >= MOST

    async def listen(self) -> AsyncIterator[str]:
        """Yield the lines of a stream."""
        mine: asyncio.Queue[list[dict[str, Any]] | None] = asyncio.Queue(UNREAD)
        self._listeners.add(mine)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        ends = asyncio.get_running_loop().time() + LASTS
        try:
            yield "retry: 2000\n\n"
            while not self.stopping and not mine.full() and asyncio.get_running_loop().time() < ends:
                try:
                    tickets = await asyncio.wait_for(mine.get(), BEAT)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if tickets is None:
                    yield "event: many\ndata: {}\n\n"
                for ticket in tickets or ():
                    yield f"event: ticket\ndata: {json.dumps(ticket, default=str)}\n\n"
                yield "event: happened\ndata: {}\n\n"
        finally:
            self._listeners.discard(mine)

    async def _look(self) -> None:
        at: Cursor | None = None
        seen: dict[int, Any] = {}
        while self._listeners:
            before = at
            try:
                at, found = await run_in_threadpool(_changed, before)
            except SQLAlchemyError as error:
                logger.warning("the database cannot be watched", error=first_line(error))
                found = []
            # a row that is read again says nothing new
            news = None if found is None else [each for each in found if seen.get(each["id"]) != each]
            seen = {each["id"]: each for each in found or ()}
            if news is None or news or before not in (None, at):
                for each in self._listeners:
                    with suppress(asyncio.QueueFull):  # it ends, and whoever listens comes again
                        each.put_nowait(news)
            await asyncio.sleep(EVERY)

    def stop(self) -> None:
        """End every stream."""
        self.stopping = True
        for each in self._listeners:
            with suppress(asyncio.QueueFull):
                each.put_nowait([])


def _changed(since: Cursor | None) -> tuple[Cursor, list[dict[str, Any]] | None]:
    with reading() as session:
        place = changes.cursor(session)
        return place, [] if since is None else changes.changed(session, since)


def stop_with_process(streams: Feed) -> None:
    """End the streams at the signal that stops the process: uvicorn waits for them before it tells the application."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if not callable(before):
            continue

        def _stop(got: int, frame: Any, before: Any = before) -> None:
            loop.call_soon_threadsafe(streams.stop)
            before(got, frame)

        with suppress(ValueError):  # not the main thread, as in tests
            signal.signal(number, _stop)


streams = Feed()
EXAMPLE = 'event: ticket\ndata: {"id": 17, "stage": "classified"}\n\n'


@router.get(
    "/events",
    summary="Live updates",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"example": EXAMPLE}}}},
)
async def events(_who: Reader) -> Response:
    """Send `ticket` with what a ticket is now whenever one changed, and `many` when too many did to name them.

    After these, and when anything else happened, a job, a dead letter, an action, comes `happened`.
    """
    if streams.full:
        return problem(503, "Not now", "too many listen to this process; come again", {"Retry-After": "30"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(streams.listen(), media_type="text/event-stream", headers=headers)
