"""Stream of changes: each change arrives, a client may reconnect, a client that does not read is disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from aura.web.api import events
from aura.web.api.events import ChangeFeed
from aura.web.slots import Slots
from db import api_keys, transaction, user_sessions, users
from db.audit import Actor, acting
from db.models import Ticket
from tests.unit.web.clients import create_user, local_client

#: Seconds after which waiting for an event fails the test.
PATIENCE = 10.0
#: The key of the streams.
KEY_ID = 1


@pytest.fixture(autouse=True)
def _fast(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "INTERVAL", 0.002)
    with transaction() as session:
        assert api_keys.create(session, "dashboard", ["read"])[0] == KEY_ID
        session.add(Ticket(source="http", raw="{}", title="VPN drops"))


def change_status(status: str) -> None:
    """Change the status of the ticket, with an entry in the audit log."""
    with acting(Actor("user ada"), "ticket.status", "ticket/1") as session:
        session.execute(update(Ticket).values(status=status))


async def event_with(stream: AsyncIterator[str], status: str) -> str:
    """Return the event with that status of the ticket; the status is set again until it arrives."""

    async def read() -> str:
        return await anext(each async for each in stream if f'"status": "{status}"' in each)

    async with asyncio.timeout(PATIENCE):
        reader = asyncio.create_task(read())
        while not reader.done():  # a change before the first query is not reported
            await asyncio.to_thread(change_status, status)
            await asyncio.wait({reader}, timeout=0.01)
        return await reader


def test_a_stream_has_the_new_values_of_a_ticket_also_after_reconnecting():
    async def run() -> list[str]:
        feed, messages = ChangeFeed(), []
        for status in ("pending", "closed"):
            stream = feed.stream(KEY_ID)
            assert await anext(stream) == "retry: 2000\n\n"
            messages.append(await event_with(stream, status))
            await stream.aclose()  # type: ignore[attr-defined]
        return messages

    for message, status in zip(asyncio.run(run()), ("pending", "closed"), strict=True):
        assert message.startswith('event: ticket\ndata: {"id": 1, ')
        assert f'"status": "{status}"' in message


def test_a_stream_that_is_not_read_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MAX_UNREAD", 3)

    async def run() -> list[str]:
        feed = ChangeFeed()
        slow, quick = feed.stream(KEY_ID), feed.stream(KEY_ID)
        await anext(slow)
        [unread] = feed._streams
        await anext(quick)
        async with asyncio.timeout(PATIENCE):
            while not unread.full():
                await asyncio.to_thread(change_status, "pending")
                await asyncio.sleep(0.002)
            # Then the stream ends, and its queue is dropped
            rest = [each async for each in slow]
        assert unread not in feed._streams
        return rest

    assert asyncio.run(run()) == []


@pytest.mark.parametrize(("slots", "status"), [(Slots("streams", 0, 9, 30), 429), (Slots("streams", 9, 0, 30), 503)])
def test_streams_beyond_the_limit_of_a_caller_or_of_the_process_are_refused(
    slots: Slots, status: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "STREAMS", slots)
    monkeypatch.setattr(events, "MAX_SECONDS", 0)
    answer = local_client().get("/api/v1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "30")


def test_the_end_of_a_stream_frees_a_slot(monkeypatch: pytest.MonkeyPatch):
    slots = Slots("streams", 1, 1)
    monkeypatch.setattr(events, "STREAMS", slots)
    monkeypatch.setattr(events, "MAX_SECONDS", 0)
    client = local_client()
    assert [client.get("/api/v1/events").status_code for _ in range(3)] == [200] * 3
    assert slots.used == 0


@pytest.mark.parametrize("ends", ["revoke", "disable", "log out", "end"])
def test_a_stream_ends_with_its_session_or_key_and_no_other_does(ends: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "CHECK_INTERVAL", 0.01)
    create_user("viewer", "ada")
    with transaction() as session:
        user = users.find(session, "ada")
        assert user is not None
        token, started = user_sessions.start(session, users.AuthenticatedUser(user.id, "ada", "viewer"))
        _, other = user_sessions.start(session, users.AuthenticatedUser(user.id, "ada", "viewer"))
        kept = api_keys.create(session, "kept", ["read"])[0]

    def end() -> None:
        with transaction() as session:
            match ends:
                case "revoke":
                    api_keys.revoke(session, KEY_ID)
                case "disable":
                    users.disable(session, "ada")
                case "log out":
                    user_sessions.log_out(session, token)
                case "end":
                    user_sessions.end_others(session, user.id, other.digest)

    async def run() -> None:
        feed = ChangeFeed()
        ended = feed.stream(KEY_ID if ends == "revoke" else started.digest)
        stays = feed.stream(kept)
        for stream in (ended, stays):
            await anext(stream)
        await asyncio.to_thread(end)
        async with asyncio.timeout(PATIENCE):
            assert not [each async for each in ended if "ticket" in each]
            await event_with(stays, "pending")

    asyncio.run(run())
