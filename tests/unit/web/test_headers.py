"""Security headers of responses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.web.clients import anonymous_client, local_client, remote_client


def test_every_response_has_security_headers(sqlite: str):
    web = local_client()
    for answer in (web.get("/health/live"), web.get("/nothing"), remote_client().get("/metrics")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_path_with_one_slash_too_many_is_redirected_within_the_host_that_was_asked():
    answer = anonymous_client(Host="evil.example").get("/health/live/?a=//b", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (307, "/health/live?a=//b")


@pytest.mark.parametrize(("url", "sent"), [("https://desk.example.com", True), ("http://127.0.0.1:8000", False)])
def test_hsts_is_sent_when_browsers_come_over_https(url: str, sent: bool, configure: Any):
    configure(AURA_BASE_URL=url)

    assert ("strict-transport-security" in anonymous_client().get("/health/live").headers) is sent


@pytest.mark.parametrize("headers", [{"Referer": "http://["}, {"Referer": "http://[::1"}, {"Origin": "http://["}])
def test_a_broken_header_is_no_error_of_the_server(headers: dict[str, str]):
    assert anonymous_client(Accept="text/html", **headers).get("/nothing").status_code == 404
