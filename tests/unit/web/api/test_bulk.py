"""Bulk creation of tickets."""

from __future__ import annotations

import json
from typing import Any

from fastapi.testclient import TestClient

from db.models import Ticket
from tests.embedded import all_jobs, count


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_bulk_request_answers_each_line(web: TestClient):
    body = b'{"title": "One"}\n\nnonsense\n{"title": ""}\n{"title": "Two"}'

    *each, last = lines(web.post("/api/v1/tickets/bulk", content=body))

    assert [(line["line"], line.get("status")) for line in each] == [(1, None), (2, 400), (3, 422), (4, None)]
    assert last == {"done": True, "lines": 4, "accepted": 2}
    assert (count(Ticket), len(all_jobs())) == (2, 2)


def test_a_bulk_request_with_a_key_may_be_repeated(web: TestClient):
    body = b"".join(b'{"title": "Number %d"}\n' % number for number in range(450))
    first, again = (
        lines(web.post("/api/v1/tickets/bulk", content=body, headers={"Idempotency-Key": "k"})) for _ in range(2)
    )

    assert first == again
    assert count(Ticket) == 450
