"""Load shedding: new tickets are refused while the queue is full."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from aura.web.group_commit import TicketWriter
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
