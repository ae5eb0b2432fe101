"""Hints: which actors and priorities have jobs due, what a relay takes, and how a suspect is kept from dragging others along."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from aura.jobs.process_state import WORKER_ID
from db import hints, jobs, reading, transaction, workers
from db.jobs import Failure, NewJob
from db.models import Job
from db.time import from_now
from tests.embedded import all_jobs, attempts, claim, enqueue, letters, mark_hinted, move, one_job

pytestmark = pytest.mark.usefixtures("database")

FAILURE = Failure("Trouble", "it did not work", "Traceback ...", "fingerprint0")


def due_buckets(*actors: str) -> list[tuple[str, int]]:
    with reading() as session:
        return hints.due_buckets(session, actors)


def take(actor: str, priority: int, limit: int = 100) -> list[tuple[int, bool]]:
    with transaction() as session:
        return [(job.id, job.tried) for job in hints.dispatch(session, actor, priority, limit)]


def take_suspect(*actors: str) -> tuple[int, str, int] | None:
    with transaction() as session:
        return hints.dispatch_suspect(session, actors or ("classify", "notify"))


def ids(*keys: str) -> list[int]:
    found = {job.key: job.id for job in all_jobs()}
    return [found[key] for key in keys]


def crash(*numbers: int, actor: str = "classify") -> tuple[int, int]:
    """Let a worker claim the jobs and die. Returns how many were freed and quarantined."""
    assert len(claim(actor, *numbers, lease="of the dead", worker="dead")) == len(numbers)
    with transaction() as session:
        return workers.recover(session, 10)


def set_crashes(number: int, *numbers: int) -> None:
    with transaction() as session:
        session.execute(update(Job).where(Job.id.in_(numbers)).values(crashes=number, attempts=number))


# -- due buckets ------------------------------------------------------------------------------------------------------


def test_due_buckets_are_ordered_by_priority():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2", priority=9), NewJob("notify", "1", priority=9))
    enqueue(NewJob("intake", "1", priority=5), NewJob("intake", "2", priority=7, delay=60))

    assert due_buckets("classify", "intake", "notify") == [
        ("classify", 9),
        ("notify", 9),
        ("intake", 5),
        ("classify", 0),
    ]
    assert due_buckets("intake", "nobody's") == [("intake", 5)]
    assert due_buckets() == []


def test_hinted_and_leased_jobs_are_in_no_due_bucket():
    enqueue(NewJob("classify", "1"), NewJob("notify", "1"))
    mark_hinted(*ids("1"))
    claim("notify", *[job.id for job in all_jobs() if job.actor == "notify"])
    mark_hinted()

    assert due_buckets("classify", "notify") == []


# -- take -------------------------------------------------------------------------------------------------------------


def test_a_dispatched_job_is_hinted_and_says_whether_it_was_attempted_before():
    enqueue(*[NewJob("classify", str(number)) for number in range(3)])
    first, *rest = ids("0", "1", "2")
    (tried,) = claim("classify", first)
    with transaction() as session:
        jobs.retry(session, [(tried, FAILURE, 0.0)])

    assert take("classify", 0) == [(first, True), *[(number, False) for number in rest]]
    assert all(job.hinted_at for job in all_jobs())
    assert take("classify", 0) == []


def test_dispatch_takes_the_longest_due_jobs_of_a_priority_first():
    enqueue(*[NewJob("classify", str(number), priority=3) for number in range(3)], NewJob("classify", "other"))
    with transaction() as session:
        for number, key in enumerate(("2", "0", "1")):
            session.execute(update(Job).where(Job.key == key).values(due_at=from_now(number - 60.0)))

    assert [number for number, _ in take("classify", 3, 2)] == sorted(ids("2", "0"))
    assert [number for number, _ in take("classify", 3, 2)] == ids("1")


# -- suspects ---------------------------------------------------------------------------------------------------------


def test_a_job_that_crashed_once_is_no_suspect_and_twice_is():
    enqueue(NewJob("classify", "1"))
    crash(one_job().id)
    assert (take_suspect(), len(take("classify", 0))) == (None, 1)
    crash(one_job().id)

    assert take("classify", 0) == []
    assert take_suspect("notify") is None, "its queue has no room"
    assert take_suspect() == (one_job().id, "classify", 0)


def test_suspects_go_one_at_a_time():
    enqueue(NewJob("classify", "1"), NewJob("notify", "2", priority=4))
    first, second = ids("1", "2")
    set_crashes(2, first, second)

    assert take_suspect() == (first, "classify", 0)
    assert take_suspect() is None, "one is hinted"
    (running,) = claim("classify", first)
    assert take_suspect() is None, "one is running"
    with transaction() as session:
        jobs.complete(session, "lease", [running], "w", 0.0)
    assert take_suspect() == (second, "notify", 4)


def test_a_suspect_whose_turn_it_is_not_cannot_be_claimed_by_a_hint_from_before():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    first, second = ids("1", "2")
    set_crashes(2, first, second)
    take_suspect()

    # the broker gives the hints of a dead worker to another one
    assert claim("classify", second) == []
    assert [job.id for job in claim("classify", first)] == [first]


def test_a_suspect_that_is_due_later_holds_no_other_up():
    enqueue(NewJob("classify", "1", delay=60), NewJob("classify", "2"))
    set_crashes(2, *ids("1", "2"))

    assert take_suspect() == (*ids("2"), "classify", 0)


def test_a_running_job_that_is_no_suspect_holds_none_up():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    suspect, other = ids("1", "2")
    crash(other)
    set_crashes(2, suspect)
    claim("classify", other)  # a claim counts as a crash until it ends in order

    assert take_suspect() == (suspect, "classify", 0)


def test_a_suspect_whose_hint_was_lost_is_dispatched_again_and_lets_the_others_on():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    set_crashes(2, *ids("1", "2"))
    assert take_suspect() is not None
    move(Job, hinted_at=-20)
    with transaction() as session:
        assert hints.redispatch_lost(session, "classify", 15) == 2

    assert take_suspect() == (*ids("1"), "classify", 0)


# -- a poison job and the rest of its batch --------------------------------------------------------------------------


def test_of_three_jobs_that_crashed_together_only_the_guilty_job_is_quarantined():
    enqueue(*[NewJob("classify", key) for key in ("poison", "innocent", "bystander")])
    crash(*ids("poison", "innocent", "bystander"))
    crash(*ids("poison"))
    take_suspect()
    assert crash(*ids("poison")) == (0, 1)

    assert [(letter.key, letter.attempts) for letter in letters()] == [("poison", 3)]
    assert {(job.key, job.crashes) for job in all_jobs()} == {("innocent", 1), ("bystander", 1)}


def test_a_hint_from_before_the_crash_does_not_claim_the_rest_of_the_batch_again():
    # Given a batch that killed its worker
    enqueue(*[NewJob("classify", key) for key in ("poison", "innocent", "fresh")])
    poison, innocent, fresh = ids("poison", "innocent", "fresh")
    crash(poison, innocent)
    # When RabbitMQ gives the same hint again, once the sweep has freed its jobs
    claimed = claim("classify", poison, innocent, fresh)
    # Then it names nothing that was tried: each of these has a hint of its own now
    assert [job.key for job in claimed] == ["fresh"]
    assert take("classify", 0) == sorted([(poison, True), (innocent, True)])
    assert [job.key for job in claim("classify", innocent, lease="alone")] == ["innocent"]


def test_an_innocent_job_beside_a_poison_job_is_not_quarantined_however_often_the_hint_comes_again():
    enqueue(*[NewJob("classify", key) for key in ("poison", "innocent")])
    hint = ids("poison", "innocent")
    for _ in range(5):
        # the old hint first, then those that the relay gives
        due = [number for number, _ in take("classify", 0)]
        suspect = take_suspect()
        for numbers in [hint, *[[number] for number in due], *([[suspect[0]]] if suspect else [])]:
            claimed = claim("classify", *numbers, lease="a lease", worker="victim")
            if "poison" not in [job.key for job in claimed]:
                with transaction() as session:
                    jobs.complete(session, "a lease", claimed, "w", 0.0)
            with transaction() as session:
                workers.recover(session, 10)  # nobody knows the victim: it is dead

    assert [(letter.key, letter.attempts) for letter in letters()] == [("poison", 3)]
    assert all_jobs() == []
    assert [attempt.outcome for attempt in attempts() if attempt.key == "innocent"] == ["crashed", "completed"]


# -- given back -------------------------------------------------------------------------------------------------------


def test_only_hinted_jobs_without_a_lease_are_released():
    enqueue(*[NewJob("classify", key) for key in ("hinted", "leased", "other", "due")])
    hinted, leased, other, due = ids("hinted", "leased", "other", "due")
    mark_hinted(hinted, leased, other)
    claim("classify", leased, worker=WORKER_ID)

    with transaction() as session:
        assert hints.release(session, [hinted, leased, due, 10**12]) == 1
        assert hints.release(session, []) == 0

    assert {job.key: job.hinted_at is not None for job in all_jobs()} == {
        "hinted": False,
        "leased": True,
        "other": True,
        "due": False,
    }


def test_the_seconds_until_the_next_job_is_due_are_known():
    def until(*actors: str) -> float | None:
        with reading() as session:
            return hints.seconds_until_due(session, actors)

    assert until("classify", "notify") is None
    enqueue(NewJob("classify", "1", delay=60.0), NewJob("classify", "2", delay=30.0, priority=9))
    enqueue(NewJob("email", "1", delay=5.0))
    assert 25.0 < (until("classify", "notify") or 0.0) <= 30.0, "the first of all priorities, of these actors"
    enqueue(NewJob("notify", "1"))
    assert until("classify", "notify") == 0.0
    mark_hinted()
    assert until("classify", "notify") is None, "each is dispatched"
