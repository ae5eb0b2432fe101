"""Body limit: bodies that are too large or too slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from aura.web import body_limit
from aura.web.body_limit import BODY_LIMIT, BodyLimit
from db.models import Ticket
from tests.embedded import count


def chunks(size: int) -> Iterator[bytes]:
    """A body that announces no length."""
    yield b'{"title": "x", "pad": "'
    for _ in range(size // 10_000):
        yield b"x" * 10_000
    yield b'"}'


def test_a_body_over_a_megabyte_gets_413_announced_or_not(web: TestClient):
    for body in (b"x" * (BODY_LIMIT + 1), chunks(BODY_LIMIT)):
        answer = web.post("/tickets", content=body)
        assert answer.status_code == 413
        assert answer.json()["detail"] == f"the body has more than {BODY_LIMIT} bytes"

    assert count(Ticket) == 0


def test_a_body_that_does_not_arrive_gets_408(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.01)
    sent: list[Message] = []

    async def receive() -> Message:
        if not sent:
            await asyncio.Event().wait()
        raise AssertionError("it is read on")

    async def send(message: Message) -> None:
        sent.append(message)

    async def never(*_asked: Any) -> None:
        raise AssertionError("a request without its body went on")

    scope: Scope = {"type": "http", "method": "POST", "path": "/tickets", "query_string": b"", "headers": []}
    asyncio.run(asyncio.wait_for(BodyLimit(never)(scope, receive, send), 10))
    assert sent[0]["status"] == 408


def test_a_body_just_under_the_limit_is_accepted_announced_or_not(web: TestClient):
    frame = len(json.dumps({"title": "x", "pad": ""}))
    announced = json.dumps({"title": "x", "pad": "x" * (BODY_LIMIT - frame)}).encode()
    assert len(announced) == BODY_LIMIT

    assert web.post("/tickets", content=announced).status_code == 202
    assert web.post("/tickets", content=chunks(BODY_LIMIT - 100_000)).status_code == 202
