"""The journal: one structured log line and one metric for each attempt, with the tickets in the log's context."""

from __future__ import annotations

import time
from typing import Any

import structlog
from dramatiq import Broker, Middleware, Worker
from dramatiq.broker import MessageProxy
from structlog.contextvars import bind_contextvars, clear_contextvars

from aura.jobs import attempt as attempts
from aura.jobs.logs import configure_logging, flush_logs
from aura.jobs.metrics import ATTEMPTS, SECONDS
from aura.jobs.middleware.retries import one_line

logger = structlog.get_logger("aura.journal")


class Logging(Middleware):
    """Says what each attempt did, once, when every other middleware has decided."""

    def after_process_boot(self, broker: Broker) -> None:
        configure_logging()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        flush_logs()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        clear_contextvars()
        bind_contextvars(actor=message.actor_name, hint=message.message_id)

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        attempt = attempts.current()
        attempts.end()
        if attempt is None:
            return
        took = time.perf_counter() - attempt.started
        if attempt.completed:
            ATTEMPTS.labels(attempt.actor, "completed").inc(len(attempt.completed))
            logger.info("completed", jobs=len(attempt.completed), ms=round(took * 1000, 1))
        for job, error, delay in attempt.retried:
            ATTEMPTS.labels(attempt.actor, "retried").inc()
            logger.warning("retried", key=job.key, attempt=job.attempts, due_in=round(delay, 1), error=one_line(error))
        for job, error in attempt.given_up:
            ATTEMPTS.labels(attempt.actor, "dead").inc()
            logger.error("dead", key=job.key, attempt=job.attempts, error=one_line(error))
        if attempt.jobs or attempt.completed:
            SECONDS.labels(attempt.actor).observe(took)
        elif exception is not None:
            logger.warning("a hint could not be claimed; it will be given again", error=one_line(exception))
        clear_contextvars()

    after_skip_message = after_process_message
