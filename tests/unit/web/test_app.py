"""The application: its OpenAPI document, and the headers of every response."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.unit.web.clients import local_client, remote_client


def test_the_openapi_document_names_every_public_route(web: TestClient):
    described = web.get("/openapi.json").json()

    assert {"/tickets", "/tickets/{ticket_id}", "/health/live", "/health/ready", "/metrics"} <= described[
        "paths"
    ].keys()
    assert "requestBody" in described["paths"]["/tickets"]["post"]


def test_every_response_has_security_headers():
    web = local_client()
    for answer in (web.get("/health/live"), web.get("/nothing"), remote_client().get("/metrics")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
