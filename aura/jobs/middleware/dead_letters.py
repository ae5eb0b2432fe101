"""Dead letters: moves jobs without a further attempt to `dead_letters`, with their errors, to be replayed or discarded."""

from __future__ import annotations

from typing import Any

from dramatiq import Middleware

from aura.jobs import process_state
from aura.jobs.attempt import Attempt
from aura.jobs.middleware.retries import failure, one_line
from db import jobs, transaction


class DeadLetters(Middleware):
    """Moves dead jobs in one transaction with the program's reaction (`Program.on_dead`)."""

    def after_failure(self, attempt: Attempt) -> None:
        """Move the dead jobs that the lease still holds."""
        if not attempt.dead:
            return
        actor: Any = attempt.actor
        with transaction() as session:
            held = {job.id for job in jobs.still_held(session, attempt.lease, [job for job, _ in attempt.dead])}
            attempt.dead = [each for each in attempt.dead if each[0].id in held]
            jobs.dead_letter(session, [(job, failure(actor.actor_name, error)) for job, error in attempt.dead])
            dead = [(job, one_line(error)) for job, error in attempt.dead]
            jobs.record_attempts(session, process_state.WORKER_ID, "dead", attempt.seconds, dead)
            actor.broker.program.on_dead(session, dead)
