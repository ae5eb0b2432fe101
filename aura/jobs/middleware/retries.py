"""Retries: a failed job is due again after a backoff that is kept in its row, so that it survives everything.

1. A job whose error is permanent, or whose attempts are used up, is given up: DeadLetters buries it.
2. An error that names a time (`retry_after` seconds, a provider's Retry-After) is obeyed, and the queue is paused until
   then: the provider would tell the next job the same. Unless the error says that it would not (`pauses_queue` is False).
3. Otherwise the pause doubles from two seconds up to ten minutes, with jitter so that a crowd spreads out.
4. A batch that failed as one is tried again at once, each job alone, so that a poison ticket takes no neighbour along.
5. A database that is away spends no attempt, and neither does a shutdown, nor an error that says so (`counts_attempt` is
   False): nobody was asked.
"""

from __future__ import annotations

import random
import traceback
from dataclasses import replace
from typing import Any, TypeGuard

import structlog
from dramatiq import Broker, Middleware
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Interrupt, TimeLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError

from aura.jobs import attempt as attempts
from aura.jobs.attempt import WORKER_ID, Attempt
from aura.settings import Settings
from db import jobs, queue_controls, transaction
from db.jobs import Claimed, Failure
from db.new_tickets import storable

logger = structlog.get_logger("aura.retries")

#: Seconds: the first pause, and the longest.
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 600.0
#: The longest a provider's Retry-After is believed, in seconds.
LONGEST_RETRY_AFTER = 3600.0


class Retries(Middleware):
    """Decides for each failed job whether and when it is tried again."""

    def __init__(self, settings: Settings) -> None:
        self.max_attempts = settings.max_attempts

    @property
    def actor_options(self) -> set[str]:
        return {"max_attempts"}

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        attempt = attempts.current()
        if attempt is None:
            return
        failures = list(attempt.failures)
        if exception is not None:
            settled = {job.id for job in attempt.completed} | {job.id for job, _ in failures}
            failures += [(job, exception) for job in attempt.jobs if job.id not in settled]
        if not failures:
            return
        if _away(exception) or (isinstance(exception, Interrupt) and not isinstance(exception, TimeLimitExceeded)):
            # the heartbeat hands these back without spending an attempt, as soon as the database answers
            attempt.failures = []
            logger.warning(
                "an attempt is handed back", actor=attempt.actor, jobs=len(failures), error=one_line(exception)
            )
            return
        limit = broker.get_actor(message.actor_name).options.get("max_attempts", self.max_attempts)
        as_one = exception is not None and len(attempt.jobs) > 1
        for job, error in failures:
            if as_one and error is exception:
                attempt.retried.append((job, error, 0.0))
            elif getattr(error, "permanent", False) or (job.attempts >= limit and _spends(error)):
                attempt.given_up.append((job, error))
            else:
                attempt.retried.append((job, error, pause(job.attempts, error)))
        self._write(attempt, broker.get_actor(message.actor_name).queue_name)

    def _write(self, attempt: Attempt, queue: str) -> None:
        if not attempt.retried:
            return
        with transaction() as session:
            held = {job.id for job in jobs.still_held(session, attempt.lease, [job for job, _, _ in attempt.retried])}
            attempt.retried = [each for each in attempt.retried if each[0].id in held]
            jobs.retry(
                session,
                [(_unspent(job, error), failure(attempt.actor, error), delay) for job, error, delay in attempt.retried],
            )
            tried: list[tuple[Claimed, str | None]] = [
                (job, one_line(error)) for job, error, _ in attempt.retried if _spends(error)
            ]
            jobs.record_attempts(session, WORKER_ID, "retried", attempt.seconds, tried)
            asked = [error for _, error, _ in attempt.retried if _named(error) and getattr(error, "pauses_queue", True)]
            if asked:
                longest = max(asked, key=lambda error: _named(error) or 0.0)
                queue_controls.pause(session, queue, _named(longest), f"asked to wait: {one_line(longest)}")


def _spends(error: BaseException) -> bool:
    return getattr(error, "counts_attempt", True)


def _unspent(job: Claimed, error: BaseException) -> Claimed:
    """Return the job with the attempts that it is to have from now on: claiming it counted one."""
    return job if _spends(error) else replace(job, attempts=job.attempts - 1)


def _away(error: BaseException | None) -> TypeGuard[Exception]:
    return (
        isinstance(error, OperationalError | InterfaceError) or getattr(error, "connection_invalidated", False) is True
    )


def _named(error: BaseException) -> float | None:
    """Return the seconds after which the error says that another try makes sense, if it says so."""
    named = getattr(error, "retry_after", None)
    return min(float(named), LONGEST_RETRY_AFTER) if isinstance(named, int | float) and named >= 0 else None


def pause(attempt: int, error: BaseException) -> float:
    """Return the seconds to wait after this many attempts."""
    if (named := _named(error)) is not None:
        return named
    return min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 30), LONGEST_PAUSE) * random.uniform(0.5, 1.0)


def one_line(error: BaseException) -> str:
    """Return the error's type and the first line of its text."""
    text = storable(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def failure(actor: str, error: BaseException) -> Failure:
    """Describe the error for the row, with a fingerprint that is the same for the same error at the same place."""
    import hashlib

    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].name}" if frames else ""
    digest = hashlib.sha1(f"{actor}:{type(error).__qualname__}:{place}".encode(), usedforsecurity=False)
    # an error may quote what no database stores, and a failure that cannot be written would be tried for ever
    text = storable("".join(traceback.format_exception(error)))[-8000:]
    said = storable(str(error)) or type(error).__name__
    return Failure(type(error).__name__, said, text, digest.hexdigest()[:12])
