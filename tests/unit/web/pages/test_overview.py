"""The overview and its charts."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.unit.web.clients import submit


def test_charts_have_the_points_of_the_scheduler(browser: TestClient):
    submit(browser, "/schedules/samples/run")

    found = browser.get("/charts/tickets.json").json()
    assert [len(each["values"]) for each in found["series"]] == [len(found["at"])] * 3 == [1, 1, 1]
    assert browser.get("/charts/nope.json").status_code == 404
    assert browser.get("/charts/tickets.json?hours=1e9").status_code == 404
