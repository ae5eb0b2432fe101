"""Load shedding: new tickets are refused while the queue is full."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Scope

from aura.web.group_commit import TicketWriter
from aura.web.load_shedding import LoadShedding
from aura.web.slots import Slots
from db.models import IdempotencyKey, Ticket
from tests.embedded import count
from tests.unit.web.clients import TICKET


@pytest.mark.parametrize("path", ["/tickets", "/api/v1/tickets"])
def test_a_full_queue_refuses_a_ticket_before_its_body_is_read(web: TestClient, path: str):
    web.app.state.ticket_writer = TicketWriter(queue_size=0)  # type: ignore[attr-defined]
    answer = web.post(path, json=TICKET, headers={"Idempotency-Key": "k-1"})
    unread = web.post(path, content=b"no JSON")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert (unread.status_code, "x-content-type-options" in unread.headers) == (503, True)
    assert (count(Ticket), count(IdempotencyKey)) == (0, 0)


def test_requests_of_one_sender_beyond_the_limit_are_429_and_others_and_new_tickets_go_on():
    slots = Slots("requests", each=2, total=9)
    go_on, statuses = asyncio.Event(), list[int]()

    async def slow(scope: Scope, _receive: Any, send: Any) -> None:
        if scope["path"] == "/api/v1/jobs":
            await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(path: str, key: str, method: str = "GET") -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        state = SimpleNamespace(state=SimpleNamespace(ticket_writer=TicketWriter()))
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "app": state}
        scope |= {"headers": [(b"authorization", f"Bearer {key}".encode())], "client": ("192.0.2.7", 1)}
        await LoadShedding(slow, slots)(scope, None, send)  # type: ignore[arg-type]

    async def run() -> None:
        waiting = [asyncio.create_task(ask("/api/v1/jobs", "a")) for _ in range(2)]
        await asyncio.sleep(0)
        await ask("/api/v1/queues", "a")
        await ask("/api/v1/queues", "b")
        await ask("/api/v1/tickets", "a", "POST")
        await ask("/health/live", "a")
        go_on.set()
        await asyncio.gather(*waiting)
        await ask("/api/v1/queues", "a")

    asyncio.run(run())
    assert statuses == [429, 200, 200, 200, 200, 200, 200]
    assert slots.used == 0
