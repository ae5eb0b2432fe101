"""Traces for tests: a caller's, and the spans that are printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aura.jobs import tracing
from aura.settings import get_settings
from db import tickets, traces, transaction
from db.new_tickets import NewTicket
from pipelines.triage import triage
from tests.embedded import web_app

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def untraced() -> Iterator[None]:
    tracing._tracer.cache_clear()
    yield
    tracing._tracer.cache_clear()


def accept(traceparent: str | None) -> int:
    with traces.within(traceparent), transaction() as session:
        (ticket_id,) = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester="a@b.example"), {})])
        triage.send(ticket_id)
    return ticket_id


def client() -> TestClient:
    from tests.unit.web.clients import local_client  # which imports the web application

    return local_client(web_app())


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The spans that were printed."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def tree(spans: list[dict[str, Any]]) -> dict[str, str]:
    """The name of each span's parent, by the span's own name; empty when the parent is somebody else's."""
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    return {span["name"]: names.get(span["parent_id"], "") for span in spans}


def _url() -> str:
    return get_settings().database_url.get_secret_value()
