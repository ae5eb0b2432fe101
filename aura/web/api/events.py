"""Live stream of changes as server-sent events: which tickets changed, and their new values."""

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
from aura.web.auth.requirements import Reader
from aura.web.slots import STREAMS, SlotResponse
from db import api_keys, changes, reading, user_sessions
from db.changes import Cursor

logger = structlog.get_logger("aura.web")
router = APIRouter(tags=["events"])

#: Seconds between two queries, between two keep-alive comments, and until a stream ends; the browser reconnects.
INTERVAL, KEEP_ALIVE, MAX_SECONDS = 1.0, 15.0, 600.0
#: Seconds between two checks that the sessions and keys of the streams are valid.
CHECK_INTERVAL = 3.0
#: The unread changes of a stream beyond which it is closed.
MAX_UNREAD = 20

Changes = list[dict[str, Any]] | None
#: The digest of a session, or the id of a key.
Credential = str | int


class ChangeFeed:
    """The streams of one process. While there is one, the database is queried once a second for all of them."""

    def __init__(self) -> None:
        #: The unread changes of each stream, and its session or key; those that have ended are in `_ended`.
        self._streams: dict[asyncio.Queue[Changes], Credential] = {}
        self._ended: set[Credential] = set()
        self._poller: asyncio.Task[None] | None = None
        self.stopping = False

    async def stream(self, credential: Credential) -> AsyncIterator[str]:
        """Yield the text of a stream, which ends soon after its session or key."""
        unread: asyncio.Queue[Changes] = asyncio.Queue(MAX_UNREAD)
        self._streams[unread] = credential
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        end = asyncio.get_running_loop().time() + MAX_SECONDS
        try:
            yield "retry: 2000\n\n"
            while not self.stopping and not unread.full() and asyncio.get_running_loop().time() < end:
                try:
                    tickets = await asyncio.wait_for(unread.get(), KEEP_ALIVE)
                except TimeoutError:
                    yield ": keep-alive\n\n"
                    continue
                if credential in self._ended:
                    return
                if tickets is None:
                    yield "event: many\ndata: {}\n\n"
                for ticket in tickets or ():
                    yield f"event: ticket\ndata: {json.dumps(ticket, default=str)}\n\n"
                yield "event: changed\ndata: {}\n\n"
        finally:
            del self._streams[unread]
            self._ended &= set(self._streams.values())

    async def _poll(self) -> None:
        cursor: Cursor | None = None
        last: dict[int, Any] = {}
        checked = asyncio.get_running_loop().time()
        while self._streams:
            before = cursor
            if asyncio.get_running_loop().time() - checked >= CHECK_INTERVAL:
                await self._end_revoked()
                checked = asyncio.get_running_loop().time()
            try:
                cursor, tickets = await run_in_threadpool(_changes, before)
            except SQLAlchemyError as error:
                logger.warning("change feed interrupted: database unavailable", error=first_line(error))
                tickets = []
            # the same row may be read twice
            new = None if tickets is None else [each for each in tickets if last.get(each["id"]) != each]
            last = {each["id"]: each for each in tickets or ()}
            if new is None or new or before not in (None, cursor):
                for unread in self._streams:
                    with suppress(asyncio.QueueFull):  # the stream ends, and its client reconnects
                        unread.put_nowait(new)
            await asyncio.sleep(INTERVAL)

    async def _end_revoked(self) -> None:
        """End the streams whose session or key has ended. Without the database they stay: it sends no changes either."""
        credentials = set(self._streams.values())
        with suppress(SQLAlchemyError):
            self._ended |= credentials - await run_in_threadpool(_valid, credentials)
        for unread, credential in list(self._streams.items()):
            if credential in self._ended:
                with suppress(asyncio.QueueFull):  # it ends anyhow
                    unread.put_nowait([])

    def stop(self) -> None:
        """End every stream."""
        self.stopping = True
        for unread in self._streams:
            with suppress(asyncio.QueueFull):
                unread.put_nowait([])


def _valid(credentials: set[Credential]) -> set[Credential]:
    """Return those of the sessions and keys that are valid."""
    digests = [each for each in credentials if isinstance(each, str)]
    keys = [each for each in credentials if isinstance(each, int)]
    with reading() as session:
        return {
            *(user_sessions.active(session, digests) if digests else ()),
            *(api_keys.active(session, keys) if keys else ()),
        }


def _changes(since: Cursor | None) -> tuple[Cursor, Changes]:
    with reading() as session:
        cursor = changes.cursor(session)
        return cursor, [] if since is None else changes.changed(session, since)


def stop_at_shutdown(feed: ChangeFeed) -> None:
    """End the streams at SIGINT and SIGTERM: uvicorn waits for open streams before it shuts the application down."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if not callable(before):
            continue

        def _stop(received: int, frame: Any, before: Any = before) -> None:
            loop.call_soon_threadsafe(feed.stop)
            before(received, frame)

        with suppress(ValueError):  # not in the main thread, as in tests
            signal.signal(number, _stop)


feed = ChangeFeed()
EXAMPLE = 'event: ticket\ndata: {"id": 17, "stage": "classified"}\n\n'


@router.get(
    "/events",
    summary="Stream changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"example": EXAMPLE}}}},
)
async def stream_events(who: Reader) -> Response:
    """Send `ticket` with the new values of a ticket that changed, or `many` when more changed than are named.

    `changed` follows them, and also any other change: a job, a dead letter, an action, a queue.
    """
    credential: Credential = who.session.digest if who.session else who.key_id or 0
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return SlotResponse(STREAMS, who.name, feed.stream(credential), media_type="text/event-stream", headers=headers)
