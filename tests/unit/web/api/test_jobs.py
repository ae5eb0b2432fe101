"""The API of the jobs: retry now, and cancel the jobs of an actor."""

from __future__ import annotations

from fastapi.testclient import TestClient

from db.jobs import NewJob
from tests.embedded import all_jobs, enqueue, letters, seconds_until_due
from tests.unit.cli.test_jobs import wait_for_backoff


def test_a_job_is_retried_now(web: TestClient):
    wait_for_backoff(NewJob("email", "a"), NewJob("email", "b"))
    [first, _] = all_jobs()

    assert web.post(f"/api/v1/jobs/{first.id}/retry").json() == {"job_id": first.id, "actor": "email", "key": "a"}
    answer = web.post(f"/api/v1/jobs/{first.id}/retry")
    assert (answer.status_code, "is available: only a job that waits" in answer.text) == (409, True)
    assert web.post("/api/v1/jobs/4711/retry").status_code == 404
    assert web.post("/api/v1/jobs/retry", json={"actor": "email"}).json() == {"retried": 1}
    assert all(seconds <= 0 for seconds in seconds_until_due())


def test_the_jobs_of_an_actor_are_cancelled(web: TestClient):
    enqueue(NewJob("email", "a"), NewJob("email", "b"), NewJob("classify", "1"))

    assert web.post("/api/v1/jobs/cancel", json={"actor": "email"}).status_code == 422
    body = {"actor": "email", "reason": "a test"}
    assert web.post("/api/v1/jobs/cancel", json=body).json() == {"cancelled": 2}
    assert web.post("/api/v1/jobs/cancel", json=body).status_code == 404
    assert [job.actor for job in all_jobs()] == ["classify"]
    assert {letter.state for letter in letters()} == {"discarded"}
