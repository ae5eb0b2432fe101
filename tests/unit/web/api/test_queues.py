"""Queues over the API."""

from __future__ import annotations

from fastapi.testclient import TestClient


def test_a_queue_is_paused_limited_and_resumed(web: TestClient):
    pause = web.post("/api/v1/queues/ai.classify/pause", json={"reason": "a test", "seconds": 60}).json()
    assert (pause["paused"], pause["reason"]) == (True, "a test")
    assert web.put("/api/v1/queues/ai.classify/limit", json={"jobs": 3}).json()["limit"] == 3
    assert web.post("/api/v1/queues/ai.classify/resume").json()["paused"] is False
    assert "did you mean ai.classify" in web.post("/api/v1/queues/ai.clasify/resume").json()["detail"]
