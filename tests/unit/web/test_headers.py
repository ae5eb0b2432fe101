"""Security headers of responses."""

from __future__ import annotations

from tests.unit.web.clients import local_client, remote_client


def test_every_response_has_security_headers():
    web = local_client()
    for answer in (web.get("/health/live"), web.get("/nothing"), remote_client().get("/metrics")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
