"""The page of the incidents."""

from __future__ import annotations

from fastapi.testclient import TestClient

from db import transaction
from db.models import Incident
from tests.unit.web.clients import submit


def test_an_incident_is_dismissed_once(browser: TestClient):
    with transaction() as session:
        session.add(Incident(title="VPN", category="Network"))

    assert "Dismissed" in submit(browser, "/incidents/1/dismiss")
    assert browser.post("/incidents/1/accept", data={}).status_code == 409
    assert browser.post("/incidents/1/explode", data={}).status_code == 404
