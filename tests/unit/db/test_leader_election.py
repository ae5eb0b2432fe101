"""Leader election: one holder at a time, and a term that grows with each change."""

from __future__ import annotations

import pytest

from db import leader_election, reading, transaction
from db.leader_election import acquire, renew
from db.models import LeaderLease
from tests.embedded import move

pytestmark = pytest.mark.usefixtures("database")


def take(holder: str) -> int | None:
    with transaction() as session:
        return acquire(session, "scheduler", holder, 60)


def held() -> bool:
    with reading() as session:
        return leader_election.is_held(session, "scheduler")


def test_a_lease_has_one_holder_and_the_holder_keeps_its_term():
    assert not held()
    assert [take("a"), take("b"), take("a")] == [1, None, 1]
    assert held()


def test_an_expired_lease_goes_to_another_holder_in_a_new_term():
    take("a")
    move(LeaderLease, expires_at=-1)

    assert not held()
    assert [take("b"), take("a")] == [2, None]
    with transaction() as session:
        assert not renew(session, "scheduler", "a", 1, 60), "the former holder renews nothing"
        assert not renew(session, "scheduler", "b", 1, 60), "nor does the holder in an earlier term"
        assert renew(session, "scheduler", "b", 2, 60)


def test_an_expired_lease_is_acquired_by_its_former_holder_in_a_new_term():
    take("a")
    move(LeaderLease, expires_at=-1)

    assert take("a") == 2


def test_a_released_lease_is_free_at_once_and_only_its_holder_releases_it():
    take("a")
    with transaction() as session:
        leader_election.release(session, "scheduler", "b")
    assert take("b") is None

    with transaction() as session:
        leader_election.release(session, "scheduler", "a")
    assert take("b") == 2


def test_an_extended_lease_expires_later():
    take("a")
    move(LeaderLease, expires_at=-1)
    with transaction() as session:
        leader_election.extend(session, "scheduler", "b", 60)
    assert not held(), "another process extends nothing"

    with transaction() as session:
        leader_election.extend(session, "scheduler", "a", 60)
    assert held()
