"""Control: what holds a queue back, for how long, and what becomes of a job that is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db import dead_letters, jobs, queue_controls, reading, transaction
from db.database import engine
from db.jobs import NewJob
from db.models import Job, QueueControl
from db.queue_controls import Cancelled, Control, InvalidControl, UnknownJob
from db.time import from_now
from tests.conftest import wait_until
from tests.embedded import Hand, all_jobs, claim, crash_before_commit, enqueue, letters, move, one_job

pytestmark = pytest.mark.usefixtures("database")

on_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True
)


def do(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call in a transaction of its own."""
    with transaction() as session:
        return function(session, *args, **options)


def control(queue: str = "ai.classify") -> Control:
    with reading() as session:
        return queue_controls.current(session).get(queue, Control(queue))


def seconds_left() -> float:
    """Return how long the only pause lasts, by the database's clock."""
    from sqlalchemy import select

    from db.time import now

    with reading() as session:
        until, clock = session.execute(select(QueueControl.paused_until, now())).one()
        return float((until - clock).total_seconds())


@pytest.fixture
def woken() -> Iterator[list[str]]:
    """What the relay of this process heard."""
    heard: list[str] = []

    def wake() -> None:
        heard.append("woken")

    jobs.on_enqueue.append(wake)
    yield heard
    jobs.on_enqueue.remove(wake)


# -- pause ------------------------------------------------------------------------------------------------------------


def test_a_queue_is_free_until_it_is_paused_and_again_when_it_is_resumed():
    assert control() == Control("ai.classify", paused=False, paused_until=None, limit=None, reason="")

    do(queue_controls.pause, "ai.classify", reason="the provider is down")
    assert control() == Control("ai.classify", paused=True, reason="the provider is down")
    assert not control("notify.email").paused

    do(queue_controls.resume, "ai.classify")
    assert control() == Control("ai.classify")


def test_a_pause_for_a_time_ends_by_itself():
    do(queue_controls.pause, "ai.classify", 600, "429")
    assert 590 < seconds_left() <= 600
    found = control()
    assert (found.paused, found.reason) == (True, "429")
    assert found.paused_until is not None and found.paused_until.tzinfo is not None

    move(QueueControl, paused_until=-0.001)

    assert control() == Control("ai.classify")


@pytest.mark.parametrize(
    ("first", "then", "left"),
    [
        ({"seconds": 600}, {"seconds": 60}, 600),
        ({"seconds": 60}, {"seconds": 600}, 600),
        ({"seconds": 600}, {"seconds": 60, "shorten": True}, 60),
        ({"seconds": None}, {"seconds": 60}, None),
        ({"seconds": None}, {"seconds": 60, "shorten": True}, 60),
        ({"seconds": 60}, {"seconds": None}, None),
    ],
)
def test_a_longer_pause_stays_unless_it_is_to_be_shortened(
    first: dict[str, Any], then: dict[str, Any], left: float | None
):
    do(queue_controls.pause, "ai.classify", reason="first", **first)
    do(queue_controls.pause, "ai.classify", reason="then", **then)

    assert control().paused
    # the reason belongs to the pause that is shown
    assert control().reason == ("first" if left == first["seconds"] else "then")
    if left is None:
        assert control().paused_until is None
    else:
        assert left - 10 < seconds_left() <= left


def test_an_expired_pause_holds_no_queue():
    do(queue_controls.pause, "ai.classify", 600, "first")
    move(QueueControl, paused_until=-1)
    do(queue_controls.pause, "ai.classify", 60, "then")

    assert (control().paused, control().reason) == (True, "then")
    assert 50 < seconds_left() <= 60


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 367 * 86_400])
def test_an_invalid_pause_is_refused(seconds: float):
    with pytest.raises(InvalidControl, match="more than 0 seconds and at most 366 days"):
        do(queue_controls.pause, "ai.classify", seconds)

    do(queue_controls.pause, "ai.classify", 366 * 86_400)
    assert control().paused


# -- limit ------------------------------------------------------------------------------------------------------------


def test_within_one_transaction_a_change_is_seen_at_once():
    with transaction() as session:
        queue_controls.limit(session, "ai.classify", 3)
        before = queue_controls.current(session)
        queue_controls.pause(session, "ai.classify", reason="why")
        queue_controls.limit(session, "ai.classify", 5)

        assert before == {"ai.classify": Control("ai.classify", limit=3)}
        assert queue_controls.current(session) == {
            "ai.classify": Control("ai.classify", paused=True, limit=5, reason="why")
        }


def test_a_limit_and_a_pause_do_not_touch_each_other():
    do(queue_controls.limit, "ai.classify", 3)
    do(queue_controls.pause, "ai.classify", reason="why")
    assert control() == Control("ai.classify", paused=True, limit=3, reason="why")

    do(queue_controls.limit, "ai.classify", 5)
    assert control() == Control("ai.classify", paused=True, limit=5, reason="why")
    do(queue_controls.resume, "ai.classify")
    assert control() == Control("ai.classify", limit=5)
    do(queue_controls.limit, "ai.classify", None)
    assert control() == Control("ai.classify")


@pytest.mark.parametrize("jobs", [0, -1, 2**31])
def test_an_invalid_limit_is_refused(jobs: int):
    with pytest.raises(InvalidControl, match="at least 1; to stop a queue, pause it"):
        do(queue_controls.limit, "ai.classify", jobs)


@on_postgresql
def test_relays_take_turns_at_counting_the_free_places_of_limited_queues():
    do(queue_controls.pause, "notify.email")
    with Session(engine()) as one, Session(engine()) as other:
        other.execute(text("SET lock_timeout = '50ms'"))
        queue_controls.lock(one)
        queue_controls.lock(other)  # no queue is limited: nobody waits
        one.rollback()
        do(queue_controls.limit, "ai.classify", 1)
        queue_controls.lock(one)
        with pytest.raises(OperationalError, match="lock timeout"):
            queue_controls.lock(other)


# -- the callers' transaction -----------------------------------------------------------------------------------------

CHANGES = [
    (queue_controls.pause, ("ai.classify",)),
    (queue_controls.resume, ("ai.classify",)),
    (queue_controls.limit, ("ai.classify", 1)),
    (queue_controls.cancel, (1, "a test")),
    (queue_controls.cancel_ticket, (17, "a test")),
]


@pytest.mark.parametrize(("change", "arguments"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_each_change_wakes_the_relay_at_its_commit(
    change: Callable[..., Any], arguments: tuple[Any, ...], woken: list[str]
):
    enqueue(NewJob("classify", "17"))
    woken.clear()

    with crash_before_commit() as session:
        change(session, *arguments)
    assert woken == []
    assert (control(), len(all_jobs()), letters()) == (Control("ai.classify"), 1, [])
    with transaction() as session:
        change(session, *arguments)
        assert woken == []
    assert woken == ["woken"]


# -- cancel -----------------------------------------------------------------------------------------------------------


def test_a_cancelled_job_is_gone_and_remembered_as_discarded():
    enqueue(NewJob("classify", "17", ["x"], "triage", ("notify",), 4, replays=1), NewJob("classify", "18"))
    job = next(job for job in all_jobs() if job.key == "17")

    cancelled = do(queue_controls.cancel, job.id, "a test")

    (letter,) = letters()
    assert cancelled == Cancelled(job.id, "classify", "17", was_running=False, dead_letter=letter.id)
    assert [job.key for job in all_jobs()] == ["18"]
    kept = (letter.job_id, letter.actor, letter.key, letter.args, letter.pipeline, letter.next_steps, letter.priority)
    assert kept == (job.id, "classify", "17", ["x"], "triage", ["notify"], 4)
    assert (letter.replays, letter.error_type, letter.error) == (1, "Cancelled", "a test")
    assert (letter.state, letter.reason) == ("discarded", "cancelled: a test")
    assert letter.resolved_at is not None


def test_a_cancelled_job_can_be_brought_back():
    enqueue(NewJob("classify", "17", ["x"], "triage", ("notify",), 4))
    cancelled = do(queue_controls.cancel, one_job().id, "a test")

    do(dead_letters.replay, cancelled.dead_letter, force=True)

    job = one_job()
    assert (job.key, job.args, job.pipeline, job.next_steps, job.priority) == ("17", ["x"], "triage", ["notify"], 4)


@pytest.mark.parametrize("number", [0, -1, 999, 2**63, 10**30])
def test_an_unknown_job_is_an_error_that_names_the_list(number: int):
    with pytest.raises(UnknownJob, match="there is no job"):
        do(queue_controls.cancel, number, "a test")


def test_all_jobs_of_a_ticket_are_cancelled_and_no_others():
    enqueue(NewJob("intake", "17"), NewJob("notify", "17", pipeline="x"), NewJob("intake", "170"))
    claim("notify", *[job.id for job in all_jobs()])

    cancelled = do(queue_controls.cancel_ticket, 17, "a test")

    assert [(each.actor, each.was_running) for each in cancelled] == [("intake", False), ("notify", True)]
    assert one_job().key == "170"
    with pytest.raises(UnknownJob, match="ticket 17 has no jobs"):
        do(queue_controls.cancel_ticket, 17, "a test")


def test_a_worker_whose_job_is_cancelled_changes_nothing(hand: Hand, declare: Callable[..., Any]):
    saved: list[Any] = []

    def work(batch: list[Any]) -> list[Any]:
        for job in batch:
            if job.key == "17":
                do(queue_controls.cancel, job.id, "a test")
        return batch

    actor = declare(work, save=lambda session, done: saved.extend(each.job.key for each in done))
    actor.send("17")
    actor.send("18")
    hand.run()

    assert saved == ["18"]
    assert all_jobs() == []
    assert [(letter.key, letter.state) for letter in letters()] == [("17", "discarded")]


def test_a_cancelled_job_that_fails_does_not_come_back(hand: Hand, declare: Callable[..., Any]):
    def work(batch: list[Any]) -> list[Any]:
        do(queue_controls.cancel, batch[0].id, "a test")
        raise RuntimeError("boom")

    declare(work).send("17")
    hand.run()

    assert all_jobs() == []
    assert [(letter.key, letter.state) for letter in letters()] == [("17", "discarded")]


@on_postgresql
def test_the_second_of_two_concurrent_cancellations_finds_no_job():
    enqueue(NewJob("classify", "17"))
    job_id = one_job().id

    with ThreadPoolExecutor() as pool, Session(engine()) as first:
        queue_controls.cancel(first, job_id, "first")
        second = pool.submit(do, queue_controls.cancel, job_id, "second")
        wait_until(_somebody_waits_for_a_lock, message="the second waits for the first")
        first.commit()
        with pytest.raises(UnknownJob):
            second.result(10)
    assert [letter.reason for letter in letters()] == ["cancelled: first"]


def _somebody_waits_for_a_lock() -> bool:
    with engine().connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


# -- looking ----------------------------------------------------------------------------------------------------------


def test_the_queues_are_listed_with_their_waiting_jobs_pauses_and_limits():
    enqueue(NewJob("intake", "1"), NewJob("intake", "2"), NewJob("receive", "3"), NewJob("classify", "4", delay=60))
    enqueue(NewJob("gone", "5"), NewJob("gone too", "6"))
    ids = {(job.actor, job.key): job.id for job in all_jobs()}
    claim("intake", ids["intake", "1"])
    move_hinted(ids["intake", "2"])
    do(queue_controls.limit, "ai.classify", 2)
    do(queue_controls.pause, "of.old", reason="renamed")

    with reading() as session:
        rows = queue_controls.listing(
            session, {"intake": "tickets.intake", "receive": "tickets.intake", "classify": "ai.classify", "x": "empty"}
        )

    states = ("running", "scheduled", "queued", "available")
    assert [(row["queue"], row["actors"], *(row[state] for state in states)) for row in rows] == [
        ("ai.classify", ["classify"], 0, 1, 0, 0),
        ("empty", ["x"], 0, 0, 0, 0),
        ("of.old", [], 0, 0, 0, 0),
        ("tickets.intake", ["intake", "receive"], 1, 0, 1, 1),
        (None, ["gone", "gone too"], 0, 0, 0, 2),
    ]
    held = [(row["paused"], row["limit"], row["reason"]) for row in rows]
    assert held == [(False, 2, ""), (False, None, ""), (True, None, "renamed"), (False, None, ""), (False, None, "")]


def move_hinted(job_id: int) -> None:
    """Mark a job as hinted."""
    with transaction() as session:
        session.execute(text(f"UPDATE jobs SET hinted_at = created_at WHERE id = {job_id}"))


def test_jobs_are_listed_by_state():
    enqueue(*[NewJob("classify", str(number), delay=60 if number == 3 else 0) for number in range(4)])
    enqueue(NewJob("notify", "5"))
    ids = {job.key: job.id for job in all_jobs()}
    with transaction() as session:
        retry = update(Job).where(Job.id == ids["5"])
        session.execute(retry.values(due_at=from_now(60), last_error="TimeoutError: slow", attempts=1))
    claim("classify", ids["0"])
    move_hinted(ids["1"])
    move_hinted(ids["3"])  # a job with a hint and a later due time is scheduled: no worker can claim it

    with reading() as session:
        everything = queue_controls.list_jobs(session)
        assert {row["key"]: row["state"] for row in everything} == {
            "0": "running",
            "1": "queued",
            "2": "available",
            "3": "scheduled",
            "5": "retrying",
        }
        for state in queue_controls.STATES:
            assert queue_controls.list_jobs(session, state=state) == [
                row for row in everything if row["state"] == state
            ]
        assert [row["key"] for row in queue_controls.list_jobs(session, actor="notify")] == ["5"]
        assert queue_controls.list_jobs(session, actor="notify", state="running") == []
        assert [row["key"] for row in queue_controls.list_jobs(session, limit=2)] == ["0", "1"]


def test_the_number_of_a_job_is_never_used_again():
    enqueue(NewJob("classify", "17"))
    first = one_job().id
    do(queue_controls.cancel, first, "a test")
    enqueue(NewJob("classify", "18"))

    assert one_job().id > first
