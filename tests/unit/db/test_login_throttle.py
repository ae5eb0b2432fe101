"""Counters of failed logins: windows of time, and networks."""

from __future__ import annotations

import pytest

from db import login_throttle, reading, transaction
from db.login_throttle import network_of
from db.models import LoginFailure
from tests.embedded import count, move


def fail(**limits: int) -> None:
    with transaction() as session:
        login_throttle.record(session, limits)


def exhausted(**limits: int) -> bool:
    with reading() as session:
        return login_throttle.exhausted(session, limits)


def test_a_counter_is_exhausted_at_its_limit_and_starts_again_after_the_window(database: str):
    for _ in range(2):
        fail(a=3, b=3)
    fail(a=3)
    assert (exhausted(a=3, b=3), exhausted(b=3), exhausted(c=1)) == (True, False, False)

    move(LoginFailure, expires_at=-1)
    assert not exhausted(a=3)
    fail(a=3)
    assert (exhausted(a=2), exhausted(a=1)) == (False, True)


def test_expired_counters_are_deleted(database: str):
    for number in range(20):
        fail(**{f"network:192.0.2.{number}": 1})
    move(LoginFailure, expires_at=-login_throttle.WINDOW_SECONDS - 1)
    fail(a=1)

    assert count(LoginFailure) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
        ("x" * 500, "x" * 64),
    ],
)
def test_the_network_of_an_address(address: str, network: str):
    assert network_of(address) == network
