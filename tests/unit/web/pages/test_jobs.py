"""The pages of the jobs."""

from __future__ import annotations

from fastapi.testclient import TestClient

from db.jobs import NewJob
from tests.embedded import all_jobs, enqueue, one_job, seconds_until_due
from tests.unit.cli.test_jobs import wait_for_backoff
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


def test_jobs_are_retried_now_and_cancelled_by_actor(browser: TestClient):
    wait_for_backoff(NewJob("email", "a"), NewJob("email", "b"), NewJob("classify", "1"))
    number = all_jobs()[0].id
    shown = browser.get("/jobs").text
    assert shown.count("Retry now") == 3
    assert "Cancel all" not in shown

    assert f"Job {number} is due now" in submit(browser, f"/jobs/{number}/retry")
    assert "Retry all of email now" in browser.get("/jobs?actor=email").text
    assert "2 jobs of email are due now" in submit(browser, "/jobs/retry", actor="email")
    assert sum(seconds <= 0 for seconds in seconds_until_due()) == 3
    assert browser.post("/jobs/retry", data={"actor": " "}).status_code == 422
    assert browser.post("/jobs/cancel", data={"actor": "email"}).status_code == 422
    assert "2 jobs of email cancelled" in submit(browser, "/jobs/cancel", actor="email", reason="a test")
    assert [job.actor for job in all_jobs()] == ["classify"]
