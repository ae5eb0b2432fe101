"""The page of the AI engines."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.embedded import Hand
from tests.unit.web.clients import create_ticket, submit


def test_a_model_is_backtested_and_activated(browser: TestClient, hand: Hand):
    number = create_ticket()
    hand.run()
    assert "No reviewed tickets" in browser.post("/ai/backtest", data={"version": "shipped"}).text
    submit(browser, f"/tickets/{number}/correct", category="Network", priority="low")

    assert "1 reviewed ticket." in browser.post("/ai/backtest", data={"version": "shipped"}).text
    assert browser.get("/ai/reliability.svg").text.startswith("<svg")
    judged = browser.get("/api/v1/evaluation").json()
    assert {label: each["tickets"] for label, each in judged.items()} == {"category": 1, "priority": 1}
    assert "Model shipped is active" in submit(browser, "/ai/use", version="shipped")
    assert browser.post("/ai/use", data={"version": "local-nope"}).status_code == 404
    assert browser.post("/ai/backtest", data={"version": "gpt-9"}).status_code == 422
