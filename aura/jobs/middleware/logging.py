"""Logging: one structured line and one metric for each outcome of an attempt, with its jobs in the log's context."""

from __future__ import annotations

import time

import structlog
from dramatiq import Broker, Middleware, Worker
from dramatiq.broker import MessageProxy
from structlog.contextvars import bind_contextvars, clear_contextvars

from aura.jobs.attempt import Attempt
from aura.jobs.logs import flush_logs
from aura.jobs.metrics import ATTEMPTS, SECONDS
from aura.jobs.middleware.retries import log_text

logger = structlog.get_logger("aura.jobs")


class Logging(Middleware):
    """Logs each attempt when every other middleware has decided."""

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        flush_logs()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        clear_contextvars()
        bind_contextvars(actor=message.actor_name, hint=message.message_id)

    def after_attempt(self, attempt: Attempt) -> None:
        """Log and count the outcome of each job."""
        name, seconds = attempt.actor.actor_name, time.perf_counter() - attempt.started
        if attempt.completed:
            ATTEMPTS.labels(name, "completed").inc(len(attempt.completed))
            logger.info("job completed", jobs=len(attempt.completed), ms=round(seconds * 1000, 1))
        for job, error, delay in attempt.retried:
            ATTEMPTS.labels(name, "retried").inc()
            logger.warning(
                "job retried", key=job.key, attempt=job.attempts, due_in=round(delay, 1), error=log_text(error)
            )
        for job, error in attempt.dead:
            ATTEMPTS.labels(name, "dead").inc()
            logger.error("job dead-lettered", key=job.key, attempt=job.attempts, error=log_text(error))
        if attempt.jobs or attempt.completed:
            SECONDS.labels(name).observe(seconds)
        elif attempt.error is not None:
            logger.warning("claim failed; the hint is dispatched again", error=log_text(attempt.error))
        clear_contextvars()
