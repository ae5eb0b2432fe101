"""Results of the digest actor, for two workers at once."""

from __future__ import annotations

from sqlalchemy import select

from actors import digest as digest_actor
from aura.jobs.actor import JobResult
from aura.notifications import DIGEST
from db import reading, transaction
from db.jobs import Claimed
from db.models import Notification
from tests.unit.actors.helpers import (
    MANAGER,
    notifications_to,
    run_in_parallel,
    states,
    write_delayed,
)


def digest_result(recipient: str = MANAGER) -> JobResult:
    """Return the result of a digest job before it is saved."""
    job = Claimed(1, "digest", recipient, ["email", recipient], "", (), 3, 1)
    [result] = digest_actor.digest.fn([job])
    return JobResult(job, job, result, 3)


def save(done: JobResult) -> None:
    with transaction() as session:
        digest_actor.save_digested(session, [done])


def digest_in_two_workers() -> None:
    """Both workers read before either saves, and one of them reads more."""
    write_delayed(rows=3)
    first = digest_result()
    write_delayed(rows=2, since=30)
    second = digest_result()
    assert (len(first.result.deliver), len(second.result.deliver)) == (3, 5)

    results = run_in_parallel(lambda: save(first), lambda: save(second))
    assert sorted(type(each).__name__ for each in results) == ["ConcurrentChange", "NoneType"]
    if states()["delayed"]:
        save(digest_result())

    with reading() as session:
        gone = session.scalars(select(Notification.data).where(Notification.event == DIGEST)).all()
    alone = len([each for each in notifications_to(state="enqueued") if each.event != DIGEST])
    assert sum(each["count"] for each in gone) + alone == 5
