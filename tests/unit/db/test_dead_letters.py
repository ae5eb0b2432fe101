"""Dead letters: everything needed to see what happened, and one decision each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from db import dead_letters, jobs, reading, transaction
from db.database import engine
from db.dead_letters import ReplayRefused, UnknownDeadLetter
from db.jobs import Failure, NewJob
from db.models import DeadLetter
from tests.embedded import all_jobs, claim, enqueue, letters, move, one_job

pytestmark = pytest.mark.usefixtures("database")

on_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True
)

BOOM = Failure("RuntimeError", "boom", "Traceback", "f" * 12)


def die(actor: str, key: str, failure: Failure = BOOM) -> int:
    """Claim the only job of this actor and key, enqueued before or now, and dead-letter it. Returns the dead letter."""
    if not any((job.actor, job.key) == (actor, key) for job in all_jobs()):
        enqueue(NewJob(actor, key))
    claimed = claim(actor, *[job.id for job in all_jobs() if (job.actor, job.key) == (actor, key)])
    with transaction() as session:
        jobs.dead_letter(session, [(job, failure) for job in claimed])
        jobs.record_attempts(session, "w", "dead", 0.1, [(job, failure.error) for job in claimed])
    return letters()[-1].id


def unreadable(queue: str = "ai.classify", error: str = "not JSON", raw: bytes = b"{") -> int:
    """Keep a message that could not be read. Returns the dead letter."""
    with transaction() as session:
        dead_letters.record_message(session, queue, raw, ValueError(error))
    return letters()[-1].id


@pytest.fixture
def letter() -> int:
    """The number of a dead letter."""
    enqueue(NewJob("classify", "17", ["x"], "triage", ("notify",), 4))
    return die("classify", "17")


def replay(letter: int, **options: Any) -> None:
    with transaction() as session:
        dead_letters.replay(session, letter, **options)


def replay_many(ids: list[int]) -> int:
    with transaction() as session:
        return dead_letters.replay_many(session, ids)


def discard(letter: int, reason: str) -> None:
    with transaction() as session:
        dead_letters.discard(session, letter, reason)


def read(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with reading() as session:
        return function(session, *args, **options)


# -- one --------------------------------------------------------------------------------------------------------------


def test_a_replay_enqueues_the_same_job_with_fresh_attempts(letter: int):
    replay(letter)

    job = one_job()
    enqueued = (job.actor, job.key, job.args, job.pipeline, job.next_steps, job.priority, job.attempts, job.replays)
    assert enqueued == ("classify", "17", ["x"], "triage", ["notify"], 4, 0, 1)
    assert letters()[0].state == "replayed"
    assert letters()[0].resolved_at is not None


def test_a_dead_letter_is_replayed_once(letter: int):
    replay(letter)

    with pytest.raises(UnknownDeadLetter, match=f"dead letter {letter} was replayed before"):
        replay(letter)
    with pytest.raises(UnknownDeadLetter, match="was replayed before"):
        replay(letter, force=True)
    with pytest.raises(UnknownDeadLetter, match="was replayed before"):
        discard(letter, "too late")
    assert len(all_jobs()) == 1


def test_the_second_of_two_concurrent_replays_is_refused(letter: int):
    with transaction() as session:
        dead_letters.get(session, letter)  # read, and then somebody is faster
        session.connection().execute(update(DeadLetter.__table__).values(state="replayed"))

        with pytest.raises(UnknownDeadLetter, match="was replayed before"):
            dead_letters.replay(session, letter)
    assert all_jobs() == []


def test_a_discarded_dead_letter_keeps_the_reason_and_is_replayed_by_force_only(letter: int):
    discard(letter, "the ticket was a test")

    with pytest.raises(
        UnknownDeadLetter, match=r"was discarded before \(the ticket was a test\); only a forced replay"
    ):
        replay(letter)
    assert all_jobs() == []
    assert (letters()[0].state, letters()[0].reason) == ("discarded", "the ticket was a test")
    replay(letter, force=True)
    assert one_job().key == "17"
    assert letters()[0].state == "replayed"


@pytest.mark.parametrize("number", [0, -1, 999, 2**63, 10**30])
def test_an_unknown_dead_letter_is_an_error_that_names_the_list(letter: int, number: int):
    with pytest.raises(UnknownDeadLetter, match="there is no dead letter"):
        replay(number)
    with pytest.raises(UnknownDeadLetter, match="there is no dead letter"):
        discard(number, "")


def test_a_job_that_fails_after_each_replay_reaches_the_replay_limit(letter: int, configure: Callable[..., Any]):
    configure(AURA_REPLAY_LIMIT="2")
    for replays in range(2):
        assert letters()[-1].replays == replays
        replay(letters()[-1].id)
        die("classify", "17")
    last = letters()[-1].id

    with pytest.raises(ReplayRefused, match=r"replayed 2 times before, and AURA_REPLAY_LIMIT is 2: .*force the replay"):
        replay(last)
    assert all_jobs() == []
    assert letters()[-1].state == "dead"
    replay(last, force=True)
    assert one_job().replays == 3


# -- other arguments --------------------------------------------------------------------------------------------------


def test_corrected_arguments_are_recorded_in_the_dead_letter(letter: int):
    replay(letter, args=["y", 2])

    assert (one_job().args, one_job().key) == (["y", 2], "17")
    assert letters()[0].args == ["x"]
    assert letters()[0].reason == 'replayed with the arguments ["y", 2]'


def test_corrected_arguments_are_refused_when_the_job_is_enqueued_with_others(letter: int):
    enqueue(NewJob("classify", "17", ["x"], "triage"))

    # merging would keep the old arguments, and nobody would know
    with pytest.raises(ReplayRefused, match=f"as job {one_job().id}, with other arguments: cancel that job first"):
        replay(letter, args=["y"])
    assert one_job().args == ["x"]
    assert letters()[0].state == "dead"
    replay(letter, args=["x"])
    assert len(all_jobs()) == 1


# -- many -------------------------------------------------------------------------------------------------------------


def test_dead_letters_of_one_error_are_replayed_together_and_each_once(letter: int):
    other, message = die("email", "n1"), unreadable()
    discard(die("email", "n2"), "no")

    assert replay_many([each.id for each in letters()]) == 2
    assert {(job.actor, job.key, job.replays) for job in all_jobs()} == {("classify", "17", 1), ("email", "n1", 1)}
    assert [each.state for each in letters()] == ["replayed", "replayed", "dead", "discarded"]
    assert replay_many([letter, other, message]) == 0
    assert replay_many([]) == 0


def test_only_readable_dead_letters_below_the_replay_limit_can_be_replayed(letter: int, configure: Callable[..., Any]):
    configure(AURA_REPLAY_LIMIT="1")
    other = die("email", "n1", Failure("SMTPError", "busy", "", "smtp"))
    replay(other)
    again, message = die("email", "n1", Failure("SMTPError", "busy", "", "smtp")), unreadable()

    assert read(dead_letters.replayable) == [letter]
    assert read(dead_letters.replayable, force=True) == [letter, again]
    assert read(dead_letters.replayable, "smtp", force=True) == [again]
    assert read(dead_letters.replayable, limit=1, force=True) == [letter]
    assert read(dead_letters.not_replayable) == (1, 1)
    assert read(dead_letters.not_replayable, "smtp") == (1, 0)
    assert read(dead_letters.discardable) == [letter, again, message]
    assert read(dead_letters.discardable, "smtp") == [again]
    assert read(dead_letters.discardable, limit=2) == [letter, again]


def test_dead_letters_of_one_error_are_discarded_with_one_reason(letter: int):
    other, third = die("email", "n1"), die("email", "n2")
    replay(third)

    with transaction() as session:
        assert dead_letters.discard_many(session, [letter, other, third], "the outage") == 2
    assert [(each.state, each.reason) for each in letters()] == [
        ("discarded", "the outage"),
        ("discarded", "the outage"),
        ("replayed", ""),
    ]


@on_postgresql
def test_two_concurrent_replays_of_all_dead_letters_share_the_work():
    ids = [die("email", f"n{number}") for number in range(4)]

    with Session(engine()) as one, Session(engine()) as other:
        other.execute(text("SET lock_timeout = '1s'"))
        assert dead_letters.replay_many(one, ids[:3]) == 3
        # those that the first one holds are passed over, without waiting for it
        assert dead_letters.replay_many(other, ids) == 1
        one.commit()
        other.commit()
    assert [(job.key, job.replays) for job in all_jobs()] == [(f"n{number}", 1) for number in range(4)]
    assert {each.state for each in letters()} == {"replayed"}


# -- messages ---------------------------------------------------------------------------------------------------------


def test_an_unreadable_message_is_stored_with_its_bytes_and_needs_a_correction():
    raw = bytes(range(256)) * 10
    message = unreadable(raw=raw)
    (kept,) = letters()

    assert (kept.raw, kept.actor, kept.key) == (raw, "", "ai.classify")
    assert (kept.error_type, kept.error) == ("ValueError", "not JSON")
    with pytest.raises(ReplayRefused, match="replay it with a corrected body"):
        replay(message, force=True)
    assert letters()[0].state == "dead"


def test_messages_with_the_same_error_share_a_fingerprint_whatever_their_content():
    for error in ("ticket 'a' at byte 17", "ticket 'b' at byte 4", "something else"):
        unreadable(error=error)
    unreadable("tickets.intake", "ticket 'a' at byte 17")

    one, same, other, elsewhere = [each.fingerprint for each in letters()]
    assert one == same
    assert len({one, other, elsewhere}) == 3


def test_a_message_is_corrected_once_and_a_job_is_no_message(letter: int):
    message = unreadable()
    with transaction() as session:
        assert dead_letters.corrected(session, message).key == "ai.classify"
    assert (letters()[1].state, letters()[1].reason) == ("replayed", "the message was corrected")

    with transaction() as session, pytest.raises(UnknownDeadLetter, match="was replayed before"):
        dead_letters.corrected(session, message)
    with transaction() as session, pytest.raises(ReplayRefused, match="is a job, not a message"):
        dead_letters.corrected(session, letter)


def test_an_error_is_stored_without_unstorable_characters():
    unreadable(error="a NUL \0 and half a letter \ud83d")

    assert letters()[0].error == "a NUL  and half a letter "


# -- looking ----------------------------------------------------------------------------------------------------------


def test_dead_letters_of_a_state_are_listed_newest_first(letter: int):
    for number in range(3):
        unreadable(f"queue {number}")
    discard(letter, "no")

    assert [each["key"] for each in read(dead_letters.listing, limit=2)] == ["queue 2", "queue 1"]
    assert [each["key"] for each in read(dead_letters.listing, "discarded")] == ["17"]
    assert read(dead_letters.listing, "replayed") == []
    assert read(dead_letters.count) == 3


def test_listed_dead_letters_are_filtered_and_contain_no_bytes(letter: int):
    die("email", "n1", Failure("SMTPError", "busy", "", "smtp"))
    unreadable(raw=b"x" * 100_000)

    assert [each["key"] for each in read(dead_letters.listing, actor="email")] == ["n1"]
    assert [each["key"] for each in read(dead_letters.listing, fingerprint="f" * 12)] == ["17"]
    assert read(dead_letters.listing, actor="email", fingerprint="f" * 12) == []
    assert read(dead_letters.count, "smtp") == 1
    assert not {"raw", "traceback"} & read(dead_letters.listing)[0].keys()


def test_similar_dead_letters_are_one_group(letter: int):
    for number in range(3):
        die("email", f"n{number}", Failure("SMTPError", f"busy {number}", "", "smtp"))
    move(DeadLetter, created_at=-60)
    newest = die("email", "n9", Failure("SMTPError", "busy 9", "", "smtp"))
    discard(letter, "no")
    unreadable()

    smtp, message = read(dead_letters.groups)
    assert (smtp["letters"], smtp["fingerprint"], smtp["actor"], smtp["error_type"]) == (
        4,
        "smtp",
        "email",
        "SMTPError",
    )
    assert (smtp["newest"], smtp["key"], smtp["error"]) == (newest, "n9", "busy 9")
    assert 55 < (smtp["last"] - smtp["first"]).total_seconds() < 300
    assert (message["letters"], message["actor"], message["key"]) == (1, "", "ai.classify")
    assert read(dead_letters.groups, limit=1) == [smtp]
    assert [each["letters"] for each in read(dead_letters.groups, "discarded")] == [1]


def test_the_history_of_a_job_has_its_attempts_alone():
    enqueue(NewJob("email", "n1"), NewJob("email", "n2"), NewJob("chat", "n1"))
    first = one_attempt("email", "n1", "retried", "busy")
    one_attempt("email", "n2", "retried", "another key")
    one_attempt("chat", "n1", "retried", "another job")
    dead = die("email", "n1")

    history = read(dead_letters.history, dead)
    assert [(each["number"], each["outcome"], each["error"]) for each in history["ledger"]] == [
        (1, "retried", "busy"),
        (2, "dead", "boom"),
    ]
    assert (history["id"], history["job_id"], history["traceback"], history["raw"]) == (dead, first, "Traceback", None)
    assert read(dead_letters.history, unreadable(raw=b"\xff"))["raw"] == b"\xff"
    with pytest.raises(UnknownDeadLetter):
        read(dead_letters.history, 999)


def one_attempt(actor: str, key: str, outcome: str, error: str) -> int:
    """Try the job once and let it fail. Returns the job's number."""
    job_id = next(job.id for job in all_jobs() if (job.actor, job.key) == (actor, key))
    claimed = claim(actor, job_id)
    with transaction() as session:
        jobs.record_attempts(session, "w", outcome, 0.1, [(job, error) for job in claimed])
        jobs.retry(session, [(job, Failure("X", error, "", ""), 0.0) for job in claimed])
    return job_id


def test_a_message_is_stored_and_shown_up_to_a_limit():
    large = unreadable(raw=b"ab" * dead_letters.RAW_LIMIT)
    with transaction() as session:  # as earlier versions stored it
        old = unreadable(raw=b"")
        session.execute(update(DeadLetter).where(DeadLetter.id == old).values(raw=b"xyz" * dead_letters.RAW_LIMIT))

    assert read(dead_letters.history, large)["raw_size"] == dead_letters.RAW_LIMIT
    shown = read(dead_letters.history, old)
    assert (len(shown["raw"]), shown["raw_size"]) == (dead_letters.RAW_LIMIT, 3 * dead_letters.RAW_LIMIT)
    assert read(dead_letters.history, old, 4)["raw"] == b"xyzx"
