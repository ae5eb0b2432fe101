"""Live updates: who listens hears of each change, may come again, and is let go when they do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from aura.web.api import events
from aura.web.api.events import Feed
from db import transaction
from db.audit import Actor, acting
from db.models import Ticket
from tests.embedded import web_app

#: Seconds after which a test that waits for an event gives up.
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _quick(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVERY", 0.002)
    with transaction() as session:
        session.add(Ticket(source="http", raw="{}", title="VPN drops"))


def act(status: str) -> None:
    """Have somebody move the ticket."""
    with acting(Actor("user ada"), "ticket.status", "ticket/1") as session:
        session.execute(update(Ticket).values(status=status))


async def hears(stream: AsyncIterator[str], status: str) -> str:
    """Return the event that says that the ticket is in the status; somebody moves it there until it comes."""

    async def listen() -> str:
        return await anext(each async for each in stream if f'"status": "{status}"' in each)

    async with asyncio.timeout(PATIENCE):
        listening = asyncio.create_task(listen())
        while not listening.done():  # a change from before the first look is none that anybody hears of
            await asyncio.to_thread(act, status)
            await asyncio.wait({listening}, timeout=0.01)
        return await listening


def test_who_listens_hears_what_a_ticket_is_now_and_so_does_who_comes_again():
    async def run() -> list[str]:
        feed, said = Feed(), []
        for status in ("pending", "closed"):
            stream = feed.listen()
            assert await anext(stream) == "retry: 2000\n\n"
            said.append(await hears(stream, status))
            await stream.aclose()  # type: ignore[attr-defined]
        return said

    for said, status in zip(asyncio.run(run()), ("pending", "closed"), strict=True):
        assert said.startswith('event: ticket\ndata: {"id": 1, ')
        assert f'"status": "{status}"' in said


def test_who_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "UNREAD", 3)

    async def run() -> list[str]:
        feed = Feed()
        slow, quick = feed.listen(), feed.listen()
        await anext(slow)
        [unread] = feed._listeners
        await anext(quick)
        async with asyncio.timeout(PATIENCE):
            while not unread.full():
                await asyncio.to_thread(act, "pending")
                await asyncio.sleep(0.002)
            # Then the stream ends by itself with what it had, and nobody keeps anything for it
            rest = [each async for each in slow]
        assert unread not in feed._listeners
        return rest

    assert asyncio.run(run()) == []


def test_more_listeners_than_a_process_holds_are_turned_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MOST", 0)
    monkeypatch.setattr(events, "LASTS", 0)
    answer = TestClient(web_app(), "http://127.0.0.1:8000", client=("127.0.0.1", 50000)).get("/api/v1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
