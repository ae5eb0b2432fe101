"""The page of the queues."""

from __future__ import annotations

from fastapi.testclient import TestClient

from db import queue_controls, reading
from tests.unit.web.clients import submit


def test_a_queue_is_paused_limited_and_resumed(browser: TestClient):
    assert (
        submit(browser, "/queues/ai.classify/pause", amount="2", unit="hours", reason="the provider moves")
        == "Queue ai.classify paused."
    )
    assert "the provider moves" in browser.get("/queues").text
    assert submit(browser, "/queues/ai.classify/resume") == "Queue ai.classify resumed."
    assert submit(browser, "/queues/ai.classify/limit", limit="4") == "Queue ai.classify: limit 4."
    with reading() as session:
        held = queue_controls.current(session)["ai.classify"]
    assert (held.paused, held.limit) == (False, 4)
    for path, fields in {
        "/queues/nope/pause": {},
        "/queues/nope/limit": {"limit": "1"},
        "/queues/nope/resume": {},
    }.items():
        assert browser.post(path, data=fields).status_code == 404
    assert browser.post("/queues/ai.classify/limit", data={"limit": "0"}).status_code == 422
    assert browser.post("/queues/ai.classify/pause", data={"amount": "9999999"}).status_code == 422
