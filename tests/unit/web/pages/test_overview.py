"""The overview and its charts."""

from __future__ import annotations

from fastapi.testclient import TestClient
from sqlalchemy import update

from db import transaction
from db.jobs import NewJob
from db.models import Job
from db.time import from_now
from tests.embedded import enqueue
from tests.unit.web.clients import submit


def test_charts_have_the_points_of_the_scheduler(browser: TestClient):
    submit(browser, "/schedules/metric-samples/run")

    found = browser.get("/charts/tickets.json").json()
    assert [len(each["values"]) for each in found["series"]] == [len(found["at"])] * 3 == [1, 1, 1]
    assert browser.get("/charts/nope.json").status_code == 404
    assert browser.get("/charts/tickets.json?hours=1e9").status_code == 404


def test_the_overview_shows_jobs_that_are_retrying(browser: TestClient):
    enqueue(NewJob("email", "n1"))
    with transaction() as session:
        session.execute(update(Job).values(due_at=from_now(60), attempts=1, last_error="OSError: refused"))

    page = browser.get("/").text

    assert "email: 1 job failed and is retrying." in page
    assert "No alerts." not in page
    assert "Retrying at" in browser.get("/jobs?state=retrying").text
