"""The cache of an access token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from aura.oauth import TokenRefused, TokenServerUnavailable, TokenSource
from aura.oauth.source import MARGIN, RENEWAL_PAUSE
from tests.conftest import wait_until


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Grant:
    """Issues token-1, token-2 ...; `failure` is raised instead, `on_fetch` runs before."""

    name = "test"

    def __init__(self, lifetime: object = 3600) -> None:
        self.lifetime, self.fetched = lifetime, 0
        self.failure: Exception | None = None
        self.on_fetch: Callable[[], object] = lambda: None

    def fetch(self) -> tuple[str, object]:
        self.fetched += 1
        self.on_fetch()
        if self.failure is not None:
            raise self.failure
        return f"token-{self.fetched}", self.lifetime


def test_a_token_is_used_until_shortly_before_it_expires():
    clock, grant = Clock(), Grant()
    source = TokenSource(grant, clock)
    assert source.token().value == "token-1"
    clock.now += 3600 - MARGIN - 1
    assert source.token().value == "token-1"
    clock.now += 2
    assert source.token().value == "token-2"


@pytest.mark.parametrize(
    ("lifetime", "used_for"), [("60", 50), (None, 200), ("soon", 200), (0, -1), (-5, -1), ([], 200)]
)
def test_any_lifetime_that_a_server_writes_is_understood(lifetime: object, used_for: float):
    clock, grant = Clock(), Grant(lifetime)
    source = TokenSource(grant, clock)
    source.token()
    clock.now += max(used_for, 0)
    source.token()
    assert grant.fetched == (1 if used_for >= 0 else 2)


def test_a_slow_answer_shortens_the_life_of_a_token():
    clock, grant = Clock(), Grant(60)
    grant.on_fetch = lambda: setattr(clock, "now", clock.now + 30)
    assert TokenSource(grant, clock).token().expires_at == 1060


def test_a_refused_token_is_not_returned_again_and_a_newer_one_stays():
    source = TokenSource(grant := Grant(), Clock())
    first = source.token()
    second = source.token(refused=first)
    assert (first.value, second.value) == ("token-1", "token-2")
    # another thread, which got the same refusal, uses the new one
    assert source.token(refused=first).value == "token-2"
    assert grant.fetched == 2


def test_threads_that_need_a_token_at_the_same_time_share_one_request():
    grant, asking = Grant(), threading.Semaphore(0)
    source = TokenSource(grant)

    def wait_for_all() -> None:
        for _ in range(8):
            assert asking.acquire(timeout=10)

    grant.on_fetch = wait_for_all

    def ask() -> str:
        asking.release()
        return source.token().value

    with ThreadPoolExecutor(8) as pool:
        assert {each.result() for each in [pool.submit(ask) for _ in range(8)]} == {"token-1"}
    assert grant.fetched == 1


def test_threads_that_wait_for_a_failing_request_share_its_failure():
    moments, release = count(), threading.Event()
    read: list[int] = []

    def clock() -> float:
        read.append(now := next(moments))
        return now

    grant = Grant()
    grant.failure = TokenServerUnavailable("down")
    grant.on_fetch = lambda: release.wait(10)
    source = TokenSource(grant, clock)

    def ask() -> None:
        with pytest.raises(TokenServerUnavailable, match="down"):
            source.token()

    with ThreadPoolExecutor(5) as pool:
        asking = [pool.submit(ask) for _ in range(5)]
        # each of the five has read the clock when it began, and the first one before its request
        wait_until(lambda: len(read) == 6)
        release.set()
        for each in asking:
            each.result()
    assert grant.fetched == 1
    ask()
    assert grant.fetched == 2, "a later call asks again"


def test_a_valid_token_is_used_while_the_token_server_is_down():
    clock, grant = Clock(), Grant()
    source = TokenSource(grant, clock)
    source.token()
    grant.failure = TokenServerUnavailable("down")
    clock.now += 3600 - MARGIN + 1
    assert [source.token().value, source.token().value] == ["token-1"] * 2
    assert grant.fetched == 2, "the second call does not ask again"
    clock.now += RENEWAL_PAUSE + 1
    assert source.token().value == "token-1"
    assert grant.fetched == 3
    clock.now += MARGIN
    with pytest.raises(TokenServerUnavailable):
        source.token()


def test_a_refused_token_is_not_used_while_the_token_server_is_down():
    source = TokenSource(grant := Grant(), Clock())
    refused = source.token()
    grant.failure = TokenServerUnavailable("down")
    with pytest.raises(TokenServerUnavailable):
        source.token(refused)


def test_a_refusal_of_the_token_server_is_not_cached():
    source = TokenSource(grant := Grant(), Clock())
    grant.failure = TokenRefused("no consent")
    with pytest.raises(TokenRefused):
        source.token()
    grant.failure = None
    assert source.token().value == "token-2"


@pytest.mark.parametrize("value", [None, "", 7, {"a": 1}])
def test_an_answer_without_a_token_is_refused(value: object, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grant := Grant(), "fetch", lambda: (value, 3600))
    with pytest.raises(TokenRefused, match="without an access token"):
        TokenSource(grant).token()


def test_a_token_does_not_show_its_value():
    assert "token-1" not in repr(TokenSource(Grant()).token())
