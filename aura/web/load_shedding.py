"""Load shedding: refuses requests before anything else is done for them.

New tickets get 503 while too many wait to be stored: parsing a request, finding its route and checking its API key costs about
as much as storing its ticket, and a server that does all of that only to refuse has no time left for the requests that it
accepted. Other requests get 429 while their sender has too many in progress, so that nobody takes all threads.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aura.errors import AuraError
from aura.web.group_commit import queue_full
from aura.web.problems import answer_error
from aura.web.slots import REQUESTS, Slots

#: The routes that create one ticket.
CREATE_PATHS = frozenset({"/tickets", "/api/v1/tickets"})
#: Routes that wait, with slots of their own, and those that need neither a thread nor the database.
UNCOUNTED = frozenset({"/api/v1/events", "/api/v1/tickets/bulk", "/health/live"})


class LoadShedding:
    """Middleware: refuses tickets while the application's TicketWriter is full, and requests of a busy sender."""

    def __init__(self, app: ASGIApp, requests: Slots = REQUESTS) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED or scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] in CREATE_PATHS:
            refused = scope["app"].state.ticket_writer.full
            await (answer_error(Request(scope), queue_full()) if refused else self.app)(scope, receive, send)
        elif b"wait=" in scope["query_string"]:
            await self.app(scope, receive, send)
        else:
            await self._count(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = _sender(scope)
        try:
            self.requests.acquire(sender)
        except AuraError as error:
            await answer_error(Request(scope), error)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self.requests.release(sender)


def _sender(scope: Scope) -> str:
    """Return the credential of the request as it was sent, else its address; a wrong one is refused soon enough."""
    for name, value in scope["headers"]:
        if name in (b"authorization", b"cookie"):
            return str(value[:1000].decode("latin-1"))
    return str((scope.get("client") or ("unknown",))[0])
