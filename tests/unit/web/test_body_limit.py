"""Body limit: bodies that are too large or too slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from aura.notifications.signatures import new_secret, sign
from aura.web import body_limit
from aura.web.api import mail
from aura.web.body_limit import BODY_LIMIT, BodyLimit, Budget
from db.models import Ticket
from tests.embedded import count
from tests.unit.web.clients import create_key


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


class Connection:
    """A request that arrives in chunks, and what is answered."""

    def __init__(self, limits: BodyLimit, chunks: list[bytes], path: str = "/api/v1/tickets", **headers: str) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.scope: Scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": raw}
        self.scope |= {"client": ("192.0.2.7", 50000), "server": ("aura.example.com", 443), "scheme": "https"}
        self.limits, self.chunks, self.sent, self.read = limits, chunks, list[Message](), 0

    async def receive(self) -> Message:
        if self.read == len(self.chunks):
            return {"type": "http.disconnect"}
        self.read += 1
        return {"type": "http.request", "body": self.chunks[self.read - 1], "more_body": self.read < len(self.chunks)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self) -> int:
        """Return the status, or 0 if the request was passed on."""
        await self.limits(self.scope, self.receive, self.send)
        return int(self.sent[0]["status"]) if self.sent else 0

    @property
    def detail(self) -> str:
        return str(json.loads(self.sent[1]["body"])["detail"])


async def passed(_scope: Scope, receive: Any, _send: Any) -> None:
    await receive()


LARGE = [b"x" * 10_000] * 3


@pytest.mark.parametrize("length", [{"content_length": "30000"}, {}], ids=["announced", "not announced"])
def test_a_large_body_of_a_stranger_is_not_read(database: str, length: dict[str, str]):
    create_key("submit")
    connection = Connection(BodyLimit(passed), LARGE, **length)

    assert asyncio.run(connection.run()) == 401
    assert connection.read == (0 if length else 2)


def test_a_large_body_of_a_key_is_read_and_counted_until_the_end_of_the_response(database: str):
    headers = {"authorization": f"Bearer {create_key('submit')}"}
    counted: list[int] = []

    async def slow(_scope: Scope, receive: Any, _send: Any) -> None:
        body = (await receive())["body"]
        counted.extend([len(body), limits.authenticated.used])

    limits = BodyLimit(slow)
    assert asyncio.run(Connection(limits, LARGE, **headers).run()) == 0
    assert counted == [30_000, 30_000]
    assert limits.authenticated.used == 0


def test_bodies_beyond_the_bytes_of_a_caller_are_429_and_beyond_those_of_all_503(database: str):
    keys = {name: {"authorization": f"Bearer {create_key('submit', name=name)}"} for name in ("a", "b")}
    limits = BodyLimit(passed)
    limits.authenticated = Budget("request bodies", 50_000, 70_000)
    limits.authenticated.acquire("key a", 25_000)

    crowded = Connection(limits, LARGE, **keys["a"])
    assert asyncio.run(crowded.run()) == 429
    assert "50000 bytes" in crowded.detail
    assert asyncio.run(Connection(limits, LARGE, **keys["b"]).run()) == 0
    limits.authenticated.acquire("key c", 25_000)
    assert asyncio.run(Connection(limits, LARGE, **keys["b"]).run()) == 503
    assert limits.authenticated.used == 50_000, "a refused body gives its bytes back"
    assert asyncio.run(Connection(limits, [b"{}"]).run()) == 0, "small bodies go on"


def test_a_mail_is_read_after_the_headers_of_its_signature_and_within_the_bytes_of_an_address(
    database: str, configure: Any
):
    secret = new_secret()
    configure(AURA_MAIL_WEBHOOK_SECRET=secret, AURA_MAIL_LIMIT="40000")
    limits = BodyLimit(passed, mail.body_limits())
    headers = {"content_type": "message/rfc822", **sign([secret], "m-1", b"")}

    unsigned = Connection(limits, LARGE, mail.PATH, content_type="message/rfc822")
    assert asyncio.run(unsigned.run()) == 401
    assert unsigned.read == 2
    assert asyncio.run(Connection(limits, LARGE, mail.PATH, **headers).run()) == 0
    limits.mails.acquire("192.0.2.7", 30_000)
    assert asyncio.run(Connection(limits, LARGE, mail.PATH, **headers).run()) == 429
    limits.mails.acquire("192.0.2.8", 40_000)
    limits.mails.release("192.0.2.7", 30_000)
    limits.mails.acquire("192.0.2.9", 20_000)
    assert asyncio.run(Connection(limits, LARGE, mail.PATH, **headers).run()) == 503


def test_a_body_with_too_many_values_gets_422_on_every_route(web: TestClient):
    body = b'{"title": "x", "a": [' + b"{}," * 30_000 + b"{}]}"
    for path in ("/tickets", "/api/v1/login", "/api/v1/dead-letters/replay"):
        answer = web.post(path, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, "20000 values" in answer.json()["detail"]) == (422, True)
    text = json.dumps({"title": "x", "description": ", [{" * 20_000})

    assert web.post("/tickets", content=text).status_code == 202
    assert count(Ticket) == 1
