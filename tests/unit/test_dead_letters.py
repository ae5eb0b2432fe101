"""Dead letters: everything needed to see what happened, and one decision each."""

from __future__ import annotations

import pytest

from db import dead_letters, jobs, reading, transaction
from db.dead_letters import UnknownDeadLetter
from db.jobs import Failure, Promise
from tests.embedded import all_jobs, claim, letters, one_job, promise

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def letter() -> int:
    """The number of a dead letter."""
    promise(Promise("classify", "17", ["x"], "triage", ("notify",), 4))
    claimed = claim("classify", one_job().id)
    with transaction() as session:
        jobs.bury(session, [(job, Failure("RuntimeError", "boom", "Traceback", "f" * 12)) for job in claimed])
    return letters()[0].id


def replay(letter: int) -> None:
    with transaction() as session:
        dead_letters.replay(session, letter)


def discard(letter: int, reason: str) -> None:
    with transaction() as session:
        dead_letters.discard(session, letter, reason)


def test_a_replay_promises_the_same_work_with_fresh_attempts(letter: int):
    replay(letter)

    job = one_job()
    assert (job.actor, job.key, job.args, job.pipeline, job.then, job.priority, job.attempts) == (
        "classify",
        "17",
        ["x"],
        "triage",
        ["notify"],
        4,
        0,
    )
    assert letters()[0].state == "replayed"
    assert letters()[0].resolved_at is not None


def test_it_is_replayed_once(letter: int):
    replay(letter)

    with pytest.raises(UnknownDeadLetter, match=f"dead letter {letter} was replayed before"):
        replay(letter)
    with pytest.raises(UnknownDeadLetter, match="was replayed before"):
        discard(letter, "too late")
    assert len(all_jobs()) == 1


def test_a_discarded_one_keeps_the_reason_and_is_not_replayed(letter: int):
    discard(letter, "the ticket was a test")

    with pytest.raises(UnknownDeadLetter, match="was discarded before"):
        replay(letter)
    assert all_jobs() == []
    assert (letters()[0].state, letters()[0].reason) == ("discarded", "the ticket was a test")


@pytest.mark.parametrize("number", [0, -1, 999, 2**63, 10**30])
def test_an_unknown_number_says_where_to_look(letter: int, number: int):
    with pytest.raises(UnknownDeadLetter, match="`aura dead list` shows those there are"):
        replay(number)
    with pytest.raises(UnknownDeadLetter, match="there is no dead letter"):
        discard(number, "")


def test_a_message_that_could_not_be_read_is_kept_with_its_bytes_and_cannot_be_replayed():
    raw = bytes(range(256)) * 10
    with transaction() as session:
        dead_letters.record_message(session, "ai.classify", raw, ValueError("not JSON"))
    (kept,) = letters()

    assert (kept.raw, kept.actor, kept.key, kept.error_type, kept.error) == (
        raw,
        "",
        "ai.classify",
        "ValueError",
        "not JSON",
    )
    with pytest.raises(UnknownDeadLetter, match="could not be read; correct it and send it again"):
        replay(kept.id)
    assert letters()[0].state == "dead"


def test_the_listing_shows_the_newest_of_a_state_first(letter: int):
    with transaction() as session:
        for number in range(3):
            dead_letters.record_message(session, f"queue {number}", b"", ValueError("x"))
    discard(letter, "no")

    with reading() as session:
        assert [each.key for each in dead_letters.listing(session, limit=2)] == ["queue 2", "queue 1"]
        assert [each.key for each in dead_letters.listing(session, "discarded")] == ["17"]
        assert dead_letters.listing(session, "replayed") == []
        assert dead_letters.count(session) == 3
