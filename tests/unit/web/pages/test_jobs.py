"""The pages of the jobs."""

from __future__ import annotations

from fastapi.testclient import TestClient

from db.jobs import NewJob
from tests.embedded import all_jobs, enqueue, one_job
from tests.unit.web.clients import submit


def test_a_job_shows_its_diagnosis_and_is_cancelled(browser: TestClient):
    enqueue(NewJob("classify", "17"))
    number = one_job().id

    assert "No relay is running" in browser.get(f"/jobs/{number}").text
    assert browser.post(f"/jobs/{number}/cancel", data={"reason": " "}).status_code == 422
    assert "cancelled; see dead letter" in submit(browser, f"/jobs/{number}/cancel", reason="a test")
    assert all_jobs() == []
    assert browser.post(f"/jobs/{number}/cancel", data={"reason": "again"}).status_code == 404
    assert browser.get("/jobs?state=flying").status_code == 422
