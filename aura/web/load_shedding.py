"""Load shedding: answers 503 to new tickets, before anything else is done for them, while too many wait to be stored.

Parsing a request, finding its route and checking its API key costs about as much as storing its ticket. A server that does
all of that only to refuse has no time left for the requests that it accepted.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aura.web.group_commit import queue_full
from aura.web.problems import answer_error

#: The routes that create one ticket.
CREATE_PATHS = frozenset({"/tickets", "/api/v1/tickets"})


class LoadShedding:
    """Middleware: refuses to create tickets for as long as the application's TicketWriter is full."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        creates = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in CREATE_PATHS
        refused = creates and scope["app"].state.ticket_writer.full
        await (answer_error(Request(scope), queue_full()) if refused else self.app)(scope, receive, send)
