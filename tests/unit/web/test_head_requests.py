"""HEAD requests: the headers of GET without a body, on every path."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from aura.web.api import events
from tests.embedded import web_app
from tests.unit.web.auth.test_requirements import ROUTES
from tests.unit.web.clients import create_ticket, local_client, local_key

#: Their content changes between two requests, or does not end.
LEFT_OUT = ("/metrics", "/api/v1/events", "/charts/{name}.json", "/ai/reliability.svg", "/unsubscribe/{token}")
#: Their content is the same in two requests.
SAME = ("/static/aura.css", "/nothing", "/health/live", "/openapi.json")
PATHS = [route.partition(" ")[2] for route in ROUTES if route.startswith("GET ")]


@pytest.mark.parametrize("path", ["/static/aura.css", "/nothing", *[path for path in PATHS if path not in LEFT_OUT]])
def test_head_has_the_status_and_headers_of_get_and_no_body(web: TestClient, path: str):
    number = create_ticket()
    address = path.replace("{ticket_id}", str(number)).replace("{job_id}", "1").replace("{letter_id}", "1")
    got, headed = web.get(address, params={"recipient": "ada"} if path.endswith("/notifications") else {}), None
    headed = web.head(got.request.url)

    assert headed.status_code == got.status_code
    assert headed.content == b""
    # the length of a page depends on the time that it shows
    changing = ("date", "etag") if path in SAME else ("date", "etag", "content-length")
    assert {name: value for name, value in headed.headers.items() if name not in changing} == {
        name: value for name, value in got.headers.items() if name not in changing
    }


def test_head_of_a_path_without_get_is_405(web: TestClient):
    answer = web.head("/api/v1/queues/ai.classify/pause")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_head_of_a_stream_ends_at_once(database: str):
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "HEAD",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {local_key()}".encode())],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    asyncio.run(asyncio.wait_for(web_app()(scope, receive, send), events.KEEP_ALIVE / 2))

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1].get("body")) == (200, b"")
    assert scope["method"] == "HEAD", "the server decides by its scope that there is no body"


def test_head_needs_the_scope_of_get(database: str):
    assert local_client(Authorization="Bearer aura_wrong").head("/api/v1/tickets").status_code == 401
