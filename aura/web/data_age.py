"""Age of the data in a response that was read from the read replica: a header for programs, a line in pages.

`Aura-Data-Age` is in seconds. A response that was read from the primary has none.
"""

from __future__ import annotations

import math

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db import replica

HEADER = "Aura-Data-Age"


def data_age() -> int | None:
    """Return the age of the oldest data that the present request has read, in whole seconds, or None."""
    found = replica.ages.get()
    return math.ceil(max(found)) if found else None


class DataAge:
    """Middleware: adds the header."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # a list, which threads with a copy of this context share
        token = replica.ages.set([])

        async def send_with_age(message: Message) -> None:
            if message["type"] == "http.response.start" and (age := data_age()) is not None:
                MutableHeaders(scope=message)[HEADER] = str(age)
            await send(message)

        try:
            await self.app(scope, receive, send_with_age)
        finally:
            replica.ages.reset(token)
