"""Searches of requests: at most some at once for each caller and in all, cancelled when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from aura.web.slots import SEARCHES
from db.database import Cancellation

Found = TypeVar("Found")

#: Seconds between two looks at the connection.
INTERVAL = 0.25


async def search_for(request: Request, caller: str, find: Callable[[Cancellation], Found]) -> Found:
    """Run `find` in a thread, with a slot of the caller, and cancel it when the client leaves.

    Raises TooManyRequests, Overloaded, and whatever `find` raises.
    """
    cancellation = Cancellation()
    with SEARCHES.holding(caller):
        search = asyncio.ensure_future(run_in_threadpool(find, cancellation))
        while not (await asyncio.wait([search], timeout=INTERVAL))[0]:
            if await request.is_disconnected():
                await run_in_threadpool(cancellation.cancel)
        return search.result()
