"""Dead letters: what Retries gave up is kept with its error, for a person to see and replay."""

from __future__ import annotations

from typing import Any

from dramatiq import Broker, Middleware
from dramatiq.broker import MessageProxy

from actors.events import enqueue_dead_letter_events
from aura.jobs import attempt as attempts
from aura.jobs.attempt import WORKER_ID
from aura.jobs.middleware.retries import failure, one_line
from db import jobs, transaction
from db.jobs import Claimed


class DeadLetters(Middleware):
    """Buries the jobs that were given up, and tells people and other services which tickets they were about."""

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        attempt = attempts.current()
        if attempt is None or not attempt.given_up:
            return
        with transaction() as session:
            held = {job.id for job in jobs.still_held(session, attempt.lease, [job for job, _ in attempt.given_up])}
            attempt.given_up = [each for each in attempt.given_up if each[0].id in held]
            jobs.dead_letter(session, [(job, failure(attempt.actor, error)) for job, error in attempt.given_up])
            tried: list[tuple[Claimed, str | None]] = [(job, one_line(error)) for job, error in attempt.given_up]
            jobs.record_attempts(session, WORKER_ID, "dead", attempt.seconds, tried)
            # as Dramatiq does it: RabbitMQ moves the hint to the queue's .XQ, where others look for what failed
            message.fail()
            enqueue_dead_letter_events(session, broker, [(job, one_line(error)) for job, error in attempt.given_up])
