"""Mutants: Aura with one of its safeguards off, to prove that the oracle sees what the safeguard is for.

Each names the module and the function that hold the safeguard, and is put in after the import; a function that is not
there any more ends the program, so that no mutant can go out of use in silence. Runs inside the programs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from tests.chaos.seams import Hook


def consumer_guard_off(consumer: Any) -> None:
    """A message is acked on whatever connection its queue has now, by a tag that was good on an earlier one."""
    assert consumer.GuardedConsumer.ack

    def ack(self: Any, message: Any) -> None:
        self._release(message)
        if isinstance(message, consumer.GuardedMessage):  # a locally dispatched step has no tag
            self.subscription.ack(message._tag)

    consumer.GuardedConsumer.ack = ack


def outbox_bypassed(jobs: Any) -> None:
    """A job is enqueued after the commit of the change that it belongs to, as with `commit(); actor.send()`."""
    from sqlalchemy.orm import Session

    from db.database import after_commit, engine

    enqueue = jobs.enqueue

    def enqueue_later(session: Any, new_jobs: Iterable[Any]) -> None:
        new_jobs = list(new_jobs)

        def send() -> None:
            with Session(engine()) as own, own.begin():
                enqueue(own, new_jobs)

        after_commit(session, send)

    jobs.enqueue = enqueue_later


def lease_check_off(jobs: Any) -> None:
    """A worker that lost its lease records its results all the same."""
    complete = jobs.complete

    def complete_anyway(session: Any, lease: str, done: Any, worker: str, seconds: float) -> Any:
        held = complete(session, lease, done, worker, seconds)
        jobs.record_attempts(session, worker, "completed", seconds, [(job, None) for job in done if job not in held])
        return list(done)

    jobs.complete = complete_anyway


def dedupe_off(notifications: Any) -> None:
    """Each notification is new, also when the same one exists."""
    write = notifications.write

    def write_anyway(session: Any, rows: Iterable[dict[str, Any]]) -> Any:
        return write(session, [row | {"dedupe_key": f"{row['dedupe_key']}:{uuid.uuid4().hex}"} for row in rows])

    notifications.write = write_anyway


MUTANTS: dict[str, tuple[str, Hook]] = {
    "consumer_guard_off": ("aura.jobs.rabbitmq.consumer", consumer_guard_off),
    "outbox_bypassed": ("db.jobs", outbox_bypassed),
    "lease_check_off": ("db.jobs", lease_check_off),
    "dedupe_off": ("db.notifications", dedupe_off),
}


def hooks(mutant: str) -> Mapping[str, Iterable[Hook]]:
    """Return the hooks that switch a safeguard off, by the module they change; nothing for no mutant."""
    if not mutant:
        return {}
    module, hook = MUTANTS[mutant]
    return {module: [hook]}
