"""The page of the schedules."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.unit.web.clients import submit


def test_a_schedule_is_run_paused_resumed_and_backfilled(browser: TestClient):
    assert submit(browser, "/schedules/samples/run").startswith("samples: ")
    assert submit(browser, "/schedules/samples/pause", reason="quiet") == "samples paused."
    assert "quiet" in browser.get("/schedules").text
    assert submit(browser, "/schedules/samples/resume") == "samples resumed."
    assert submit(browser, "/schedules/samples/backfill") == "samples: 0 missed runs done."
    assert browser.post("/schedules/nope/run", data={}).status_code == 404
    assert browser.post("/schedules/samples/explode", data={}).status_code == 404
