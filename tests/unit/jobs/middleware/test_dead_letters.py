"""Dead letters: moved with the program's reaction in one transaction, and only under the lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.orm import Session

import actors
from aura.jobs.attempt import Permanent
from aura.jobs.process_state import WORKER_ID
from db import transaction, workers
from tests.embedded import CrashBeforeCommit, Hand, attempts, claim, letters, one_job

pytestmark = pytest.mark.usefixtures("database")

Declare = Callable[..., Any]


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The dead jobs that the program gets, with their errors."""
    seen: list[tuple[str, str]] = []

    def on_dead(_session: Session, dead: Any) -> None:
        seen.extend((job.key, error) for job, error in dead)

    monkeypatch.setattr(actors.broker, "program", replace(actors.broker.program, on_dead=on_dead))
    return seen


def refuse(items: list[Any]) -> list[Any]:
    return [Permanent(f"{item.key} is refused\nand more") if item.key == "2" else "done" for item in items]


def test_the_program_reacts_to_each_dead_job_in_one_line(hand: Hand, declare: Declare, dead: list[tuple[str, str]]):
    actor = declare(refuse)
    actor.send(1)
    actor.send(2)
    hand.run()

    assert dead == [("2", "Permanent: 2 is refused")]
    assert [(letter.key, letter.error_type) for letter in letters()] == [("2", "Permanent")]
    assert [(attempt.key, attempt.outcome) for attempt in attempts("dead")] == [("2", "dead")]


def test_a_crash_in_the_reaction_moves_no_job(hand: Hand, declare: Declare, monkeypatch: pytest.MonkeyPatch):
    def crash(*_: Any) -> None:
        raise CrashBeforeCommit

    monkeypatch.setattr(actors.broker, "program", replace(actors.broker.program, on_dead=crash))
    declare(refuse).send(2)
    hand.relay()
    hand.work()

    assert (letters(), attempts()) == ([], [])
    assert one_job().lease is not None, "the job is released by a heartbeat, and tried again"


def test_a_job_that_another_worker_holds_is_not_moved(hand: Hand, declare: Declare, dead: list[tuple[str, str]]):
    def lose(items: list[Any]) -> list[Any]:
        with transaction() as session:
            workers.release(session, WORKER_ID, running=set)
        claim("lose", one_job().id, lease="fast", worker="another")
        return [Permanent("too late") for _ in items]

    declare(lose).send(1)
    hand.relay()
    hand.work()

    assert (letters(), attempts(), dead) == ([], [], [])
    assert one_job().lease == "fast"
