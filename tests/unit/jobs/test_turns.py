"""Turns: a source or a requester with a flood of jobs leaves the others their part of each dispatch."""

from __future__ import annotations

from collections import Counter

import pytest

from aura.jobs.turns import Turns
from db import hints, transaction
from db.fair_shares import share_of, source_part
from db.hints import Dispatched
from db.jobs import NewJob
from tests.embedded import all_jobs, claim, enqueue
from tests.unit.jobs.shelf import Shelf, relay

pytestmark = pytest.mark.usefixtures("database")


def new_jobs(source: str, requester: str, count: int) -> list[NewJob]:
    share = share_of(source, requester)
    return [NewJob("intake", f"{source}:{requester}:{number}", share=share) for number in range(count)]


def take(turns: Turns, limit: int) -> Counter[int]:
    with transaction() as session:
        return Counter(source_part(job.share) for job in turns.dispatch(session, "intake", 0, limit))


def hinted(shelf: Shelf) -> list[str]:
    """Return the requesters of the hinted jobs, in the order of their hints."""
    names = {job.id: job.key.split(":")[-2] for job in all_jobs()}
    return [names[number] for _, _, ids in shelf.hints() for number in ids]


def test_a_requester_that_floods_leaves_others_their_turns():
    enqueue(*new_jobs("http:", "flood", 200))
    enqueue(*new_jobs("http:", "ada", 3), *new_jobs("http:", "bob", 3))
    shelf = Shelf()

    relay(shelf, max_in_flight=40).round()

    assert Counter(hinted(shelf))["ada"] == Counter(hinted(shelf))["bob"] == 3
    # and their hints come first: the broker keeps the order
    assert {"ada", "bob"} <= set(hinted(shelf)[:4])


def test_a_source_that_floods_under_many_names_leaves_others_their_turns():
    enqueue(*[job for number in range(200) for job in new_jobs("http:key monitoring", f"host{number}", 1)])
    enqueue(*new_jobs("email", "ada", 5))
    shelf = Shelf()

    relay(shelf, max_in_flight=40).round()

    assert Counter(hinted(shelf))["ada"] == 5


def test_jobs_without_a_backlog_cost_no_further_statement(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("no turns are needed")

    monkeypatch.setattr(Turns, "dispatch", refuse)
    enqueue(*new_jobs("http:", "ada", 9), *new_jobs("http:", "bob", 1))
    shelf = Shelf()
    assert relay(shelf, max_in_flight=400).round() == 10


def test_room_for_one_job_at_a_time_goes_to_each_requester_in_turn():
    enqueue(*new_jobs("http:", "flood", 200))
    enqueue(*[job for name in ("ada", "bob", "cleo") for job in new_jobs("http:", name, 1)])
    shelf = Shelf()
    one = relay(shelf, max_in_flight=1)
    while not {"ada", "bob", "cleo"} <= set(hinted(shelf)):
        assert one.round() == 1
        claim("intake", *shelf.hints()[-1][2])
    assert len(shelf.hints()) < 60, "four shares, of which the flood also has the part of the oldest"


def test_the_longest_due_job_is_dispatched_although_others_have_turns():
    enqueue(*new_jobs("http:", "first", 1))
    enqueue(*[job for number in range(400) for job in new_jobs(f"source {number}", "more", 1)])
    shelf = Shelf()
    relay(shelf, max_in_flight=40).round()
    assert "first" in hinted(shelf)


def test_sources_get_parts_by_their_weights():
    heavy, light = source_part(share_of("email")), source_part(share_of("import"))
    enqueue(*new_jobs("email", "ada", 100), *new_jobs("import", "bob", 100))
    turns = Turns({heavy: 3.0})
    assert take(turns, 40) == {heavy: 30, light: 10}
    taken: Counter[int] = Counter()
    for _ in range(8):
        taken += take(turns, 1)
    assert taken == {heavy: 6, light: 2}, "fractions of a job are owed"


def test_more_sources_than_jobs_take_turns():
    names = [f"source {number}" for number in range(10)]
    for name in names:
        enqueue(*new_jobs(name, "ada", 5))
    turns, taken = Turns(), Counter[int]()
    for _ in range(10):
        taken += take(turns, 3)
    assert taken == {source_part(share_of(name)): 3 for name in names}


def test_hints_are_interleaved():
    jobs = [Dispatched(number, False, 0.0, share) for number, share in enumerate([7, 7, 7, 8, 8, 9])]
    assert [job.id for job in hints.interleaved(jobs)] == [0, 3, 5, 1, 4, 2]
    assert [job.id for job in hints.interleaved(reversed(jobs[:3]))] == [0, 1, 2], "one share: by id"


def test_remembered_turns_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aura.jobs.turns.REMEMBERED", 3)
    turns = Turns()
    for number in range(10):
        enqueue(*new_jobs(f"source {number}", "ada", 1))
        assert take(turns, 1).total() == 1
    assert len(turns._after) <= 4
