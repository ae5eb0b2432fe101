"""The page of the schedules."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.unit.web.clients import submit


def test_a_schedule_is_run_paused_resumed_and_backfilled(browser: TestClient):
    assert submit(browser, "/schedules/metric-samples/run").startswith("metric-samples: ")
    assert submit(browser, "/schedules/metric-samples/pause", reason="quiet") == "metric-samples paused."
    assert "quiet" in browser.get("/schedules").text
    assert submit(browser, "/schedules/metric-samples/resume") == "metric-samples resumed."
    assert submit(browser, "/schedules/metric-samples/backfill") == "metric-samples: 0 missed runs done."
    assert browser.post("/schedules/nope/run", data={}).status_code == 404
    assert browser.post("/schedules/metric-samples/explode", data={}).status_code == 404
