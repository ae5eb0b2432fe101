"""Searches of requests: slots, and cancellation when the client leaves."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from fastapi import Request

from aura.errors import TooManyRequests
from aura.web import searches
from aura.web.searches import search_for
from aura.web.slots import Slots
from db.database import Cancellation


def request(connected: bool) -> Request:
    async def receive() -> dict[str, Any]:
        if connected:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


def test_a_search_returns_the_result_and_frees_the_slot(monkeypatch: pytest.MonkeyPatch):
    slots = Slots("searches", 1, 1)
    monkeypatch.setattr(searches, "SEARCHES", slots)

    assert asyncio.run(search_for(request(True), "key a", lambda _: 7)) == 7
    assert slots.used == 0


def test_a_search_whose_client_left_is_cancelled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(searches, "INTERVAL", 0.01)
    cancelled = threading.Event()

    class Watched(Cancellation):
        def cancel(self) -> None:
            cancelled.set()

    monkeypatch.setattr(searches, "Cancellation", Watched)
    assert asyncio.run(search_for(request(False), "key a", lambda _: cancelled.wait(10)))


def test_a_search_of_a_client_that_stays_is_not_cancelled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(searches, "INTERVAL", 0.01)

    def find(cancellation: Cancellation) -> bool:
        threading.Event().wait(0.1)
        return cancellation.cancelled

    assert asyncio.run(search_for(request(True), "key a", find)) is False


def test_a_caller_searches_twice_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(searches, "SEARCHES", Slots("searches", 2, 9))
    go_on = threading.Event()

    async def run() -> None:
        first = [asyncio.create_task(search_for(request(True), "key a", lambda _: go_on.wait(10))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests):
            await search_for(request(True), "key a", lambda _: 1)
        assert await search_for(request(True), "key b", lambda _: 2) == 2
        go_on.set()
        await asyncio.gather(*first)

    asyncio.run(run())
