"""Long polls: requests that wait for the verdict of a ticket, with one query for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest
from sqlalchemy.exc import OperationalError

from aura.web import long_poll
from aura.web.long_poll import LongPoll
from aura.web.slots import Slots

#: Seconds that no request in these tests should wait.
LONG = 25.0


class Verdicts:
    """Stands for the database: tickets are classified at the third query."""

    def __init__(self, *classified: int) -> None:
        self.classified, self.asked = set(classified), list[list[int]]()

    def __call__(self, ids: list[int]) -> set[int]:
        self.asked.append(ids)
        return self.classified & set(ids) if len(self.asked) >= 3 else set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "INTERVAL", 0.01)


async def _together(poll: LongPoll, waits: Iterable[tuple[int, float]]) -> list[bool]:
    async def one(ticket: int, seconds: float) -> bool:
        started = time.monotonic()
        await poll.classified(ticket, seconds, "key test")
        return time.monotonic() - started < LONG

    return await asyncio.gather(*(one(*each) for each in waits))


def test_all_requests_share_one_query_and_return_at_the_verdict(monkeypatch: pytest.MonkeyPatch):
    verdicts = Verdicts(7, 8)
    monkeypatch.setattr(long_poll, "_classified", verdicts)

    assert asyncio.run(_together(LongPoll(), [(7, 60.0), (8, 60.0), (7, 60.0)])) == [True] * 3

    assert verdicts.asked == [[7, 8]] * 3


def test_a_request_without_a_verdict_returns_after_its_seconds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(long_poll, "_classified", Verdicts())
    poll = LongPoll()

    assert asyncio.run(_together(poll, [(7, 0.05)])) == [True]
    assert poll._tickets == {}


def test_a_request_that_may_not_wait_asks_nothing(monkeypatch: pytest.MonkeyPatch):
    verdicts = Verdicts(7)
    monkeypatch.setattr(long_poll, "_classified", verdicts)

    assert (
        asyncio.run(_together(LongPoll(Slots("waits", each=0, total=9)), [(7, 60.0), (7, 0.0), (7, -1.0)]))
        == [True] * 3
    )
    assert verdicts.asked == []


def test_a_request_waits_on_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch):
    verdicts = Verdicts(7)

    def away(ids: list[int]) -> set[int]:
        if not verdicts.asked:
            verdicts.asked.append(ids)
            raise OperationalError("SELECT", {}, Exception("server closed the connection"))
        return verdicts(ids)

    monkeypatch.setattr(long_poll, "_classified", away)

    assert asyncio.run(_together(LongPoll(), [(7, 60.0)])) == [True]


def test_a_caller_beyond_the_limit_is_answered_at_once_and_others_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(long_poll, "_classified", Verdicts(7))
    poll = LongPoll(Slots("waits", each=1, total=9))
    ended: list[str] = []

    async def one(caller: str) -> None:
        await poll.classified(7, 60.0, caller)
        ended.append(caller)

    async def run() -> None:
        first = asyncio.create_task(one("key a"))
        await asyncio.sleep(0)
        await asyncio.gather(one("key a"), one("key b"), first)

    asyncio.run(run())
    assert ended[0] == "key a"
    assert sorted(ended) == ["key a", "key a", "key b"]
