"""The turnstile: while too many wait for their tickets to be stored, the next are turned away before anything is read.

To read a request, find its route and check its key costs about as much as to accept it. A server that does all of that only
to say no has no time left for those whom it did let in.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aura.web.problems import too_many

#: Where tickets are reported one by one.
ENTRANCES = frozenset({"/tickets", "/api/v1/tickets"})


class LoadShedding:
    """Answers 503 with Retry-After to reports, for as long as the application's acceptor is full."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reports = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in ENTRANCES
        turned_away = reports and scope["app"].state.acceptor.full
        await (too_many(Request(scope)) if turned_away else self.app)(scope, receive, send)
