"""Dead letters of jobs and of unreadable messages."""

from __future__ import annotations

import pytest

from db import dead_letters, jobs, transaction
from db.jobs import Failure, NewJob
from tests.embedded import all_jobs, claim, enqueue, letters


@pytest.fixture
def letter() -> int:
    """Return the number of a dead letter."""
    return die("classify", "17", "f" * 12)


def die(actor: str, key: str, fingerprint: str) -> int:
    """Make the job of this actor and key a dead letter, and return its number; enqueues it first."""
    enqueue(NewJob(actor, key))
    claimed = claim(actor, *[job.id for job in all_jobs() if (job.actor, job.key) == (actor, key)])
    with transaction() as session:
        failure = Failure("RuntimeError", "boom [/red]", "Traceback: [/x]", fingerprint)
        jobs.dead_letter(session, [(job, failure) for job in claimed])
    return letters()[-1].id


def unreadable(raw: bytes, queue: str = "ai.classify") -> int:
    """Store an unreadable message. Returns the number of its dead letter."""
    with transaction() as session:
        dead_letters.record_message(session, queue, raw, ValueError("not JSON"))
    return letters()[-1].id
