"""Schedules over the API."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.unit.web.clients import audit_entries


def job(web: TestClient) -> dict[str, object]:
    rows = web.get("/api/v1/schedules").json()["schedules"]
    [found] = [row for row in rows if row["job"] == "metric-samples"]
    return dict(found)


def test_a_schedule_is_paused_resumed_and_run(web: TestClient):
    assert web.post("/api/v1/schedules/metric-samples/pause", json={"reason": "a move"}).json()["paused"] is True
    assert (job(web)["paused"], job(web)["reason"]) == (True, "a move")

    assert web.post("/api/v1/schedules/metric-samples/resume").json() == {"job": "metric-samples", "paused": False}
    before = job(web)["next"]
    run = web.post("/api/v1/schedules/metric-samples/run").json()
    assert run["job"] == "metric-samples" and run["done"] > 0
    assert (job(web)["next"], job(web)["paused"]) == (before, False)
    assert [action for _, action, _ in audit_entries()] == ["schedule.pause", "schedule.resume", "schedule.run"]


def test_an_unknown_schedule_is_not_found(web: TestClient):
    for action, body in (("run", None), ("pause", {"reason": "x"}), ("resume", None)):
        assert web.post(f"/api/v1/schedules/nope/{action}", json=body).status_code == 404
    assert audit_entries() == []
