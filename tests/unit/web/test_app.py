"""The application: its OpenAPI document."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_the_openapi_document_names_every_public_route(web: TestClient):
    described = web.get("/openapi.json").json()

    assert {"/tickets", "/tickets/{ticket_id}", "/health/live", "/health/ready", "/metrics"} <= described[
        "paths"
    ].keys()
    assert "requestBody" in described["paths"]["/tickets"]["post"]
