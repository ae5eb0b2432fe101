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


def test_a_key_of_a_bulk_request_is_no_key_of_another_request(web: TestClient):
    """Line 1 of the bulk `nightly` was stored under `nightly#1`, which a single request may have as well."""
    body = b'{"title": "One"}\n'
    single = web.post("/api/v1/tickets", content=body, headers={"Idempotency-Key": "nightly#1"})
    (line, _), (other, _) = (
        lines(web.post("/api/v1/tickets/bulk", content=body, headers={"Idempotency-Key": key}))
        for key in ("nightly", "nightly#1")
    )

    assert len({single.json()["id"], line["id"], other["id"]}) == 3


def test_the_longest_key_is_accepted_for_a_bulk_request(web: TestClient):
    """`key#line` was longer than its column, and each repetition was 503."""
    headers = {"Idempotency-Key": "k" * 255}
    first, again = (
        lines(web.post("/api/v1/tickets/bulk", content=b'{"title": "One"}\n', headers=headers)) for _ in range(2)
    )

    assert first == again
    assert first[0]["id"]


def test_a_line_with_a_used_external_id_and_another_body_is_409(web: TestClient):
    body = b'{"title": "One", "external_id": "1"}\n{"title": "Two", "external_id": "1"}\n{"title": "Three"}\n'
    one, two, three, last = lines(web.post("/api/v1/tickets/bulk", content=body))

    assert (two["status"], two["ticket_id"], two["differs"]) == (409, one["id"], ["title"])
    assert three["id"]
    assert last == {"done": True, "lines": 3, "accepted": 2}
