"""The access log: off by default, and without path, query and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from aura.settings import get_settings
from tests.unit.web.clients import local_client

pytestmark = pytest.mark.usefixtures("sqlite")


def requests() -> list[Any]:
    client = local_client()
    with capture_logs() as lines:
        client.get("/health/live?token=kanarienvogel")
        client.get("/api/v1/tickets/kanarienvogel?q=kanarienvogel")
        client.get("/kanarienvogel/kanarienvogel@example.com")
        client.request("KANARIENVOGEL1", "/health/live")
    return [line for line in lines if line["event"] == "request"]


def test_requests_are_not_logged_by_default() -> None:
    assert requests() == []


def test_a_request_is_logged_with_its_route(configure: Callable[..., Any]) -> None:
    configure(AURA_ACCESS_LOG="true", DATABASE_URL=get_settings().database_url.get_secret_value())
    found = requests()
    assert (found[0]["method"], found[0]["route"], found[0]["status"]) == ("GET", "/health/live", 200)
    assert len(found) == 4
    assert "kanarienvogel" not in str(found).lower()
    assert {"ms", "client"} <= found[0].keys()
