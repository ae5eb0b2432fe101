"""Retries: a failed job is due again after a backoff that is stored in its row, so that it survives every restart.

1. A job whose error is permanent, or whose attempts are used up, becomes a dead letter (see `DeadLetters`).
2. An error with `retry_after` (seconds; a provider's Retry-After) sets the delay, and pauses the queue for as long: the
   provider would refuse the next job too. With `pauses_queue` False it delays its own job alone.
3. Otherwise the delay doubles from two seconds up to ten minutes, with jitter.
4. When a batch fails as one, each of its jobs is retried at once and alone, so that a poison job fails by itself.
5. A database that is away, a shutdown and an error with `counts_attempt` False use up no attempt.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import replace

import structlog
from dramatiq import Middleware
from dramatiq.middleware import Interrupt, TimeLimitExceeded

from aura.error_text import database_text, error_text, format_traceback
from aura.errors import JobError
from aura.jobs import process_state
from aura.jobs.attempt import Attempt
from aura.jobs.backoff import backoff
from aura.settings import get_settings
from db import jobs, queue_controls, transaction
from db.jobs import Claimed, Failure
from db.text import storable
from db.unavailable import is_unavailable

logger = structlog.get_logger("aura.retries")

#: Seconds: the first delay, and the longest.
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 600.0
#: The longest `retry_after` that is obeyed, in seconds.
LONGEST_RETRY_AFTER = 3600.0


class Retries(Middleware):
    """Decides for each failed job whether and when it is tried again."""

    @property
    def actor_options(self) -> set[str]:
        return {"max_attempts"}

    def after_failure(self, attempt: Attempt) -> None:
        """Sort the failures into `retried` and `dead`, and make the former due again."""
        failures = _failures(attempt)
        if not failures:
            return
        if is_unavailable(attempt.error) or (
            isinstance(attempt.error, Interrupt) and not isinstance(attempt.error, TimeLimitExceeded)
        ):
            # the heartbeat hands these back as soon as the database answers, and no attempt is used up
            logger.warning(
                "attempt released",
                actor=attempt.actor.actor_name,
                jobs=len(failures),
                error=one_line(attempt.error),
            )
            return
        limit = attempt.actor.option("max_attempts") or get_settings().max_attempts
        as_one = attempt.error is not None and len(attempt.jobs) > 1
        for job, error in failures:
            rules = job_error(error)
            if as_one and error is attempt.error:
                attempt.retried.append((job, error, 0.0))
            elif rules.permanent or (job.attempts >= limit and rules.counts_attempt):
                attempt.dead.append((job, error))
            else:
                attempt.retried.append((job, error, pause(job.attempts, error)))
        if attempt.retried:
            _retry(attempt)


def _failures(attempt: Attempt) -> list[tuple[Claimed, BaseException]]:
    """Return every failed job with its error; that of the whole attempt concerns the jobs without an outcome."""
    if attempt.error is None:
        return attempt.failures
    settled = {job.id for job in attempt.completed} | {job.id for job, _ in attempt.failures}
    return attempt.failures + [(job, attempt.error) for job in attempt.jobs if job.id not in settled]


def _retry(attempt: Attempt) -> None:
    name = attempt.actor.actor_name
    with transaction() as session:
        held = {job.id for job in jobs.still_held(session, attempt.lease, [job for job, _, _ in attempt.retried])}
        attempt.retried = [each for each in attempt.retried if each[0].id in held]
        jobs.retry(
            session, [(_uncounted(job, error), failure(name, error), delay) for job, error, delay in attempt.retried]
        )
        tried = [(job, one_line(error)) for job, error, _ in attempt.retried if job_error(error).counts_attempt]
        jobs.record_attempts(session, process_state.WORKER_ID, "retried", attempt.seconds, tried)
        if longest := _longest_pause([error for _, error, _ in attempt.retried]):
            seconds, error = longest
            queue_controls.pause(session, attempt.actor.queue_name, seconds, f"asked to wait: {one_line(error)}")


def _longest_pause(errors: Sequence[BaseException]) -> tuple[float, BaseException] | None:
    """Return the longest pause of the queue that the errors ask for, with its error."""
    asked = [
        (seconds, error)
        for error in errors
        if (rules := job_error(error)).pauses_queue and (seconds := rules.retry_after) is not None
    ]
    return max(asked, key=lambda each: each[0], default=None)


def _uncounted(job: Claimed, error: BaseException) -> Claimed:
    """Return the job without the attempt that its claim counted, if the error does not count."""
    return job if job_error(error).counts_attempt else replace(job, attempts=job.attempts - 1)


def job_error(error: BaseException) -> JobError:
    """Return the error's rules for retries; a foreign one's are the defaults, with its `retry_after` and `permanent`."""
    rules = error if isinstance(error, JobError) else None
    seconds = getattr(error, "retry_after", None)
    return JobError(
        permanent=rules.permanent if rules else getattr(error, "permanent", False) is True,
        retry_after=_bounded(seconds),
        pauses_queue=rules.pauses_queue if rules else None,
        counts_attempt=rules.counts_attempt if rules else None,
    )


def _bounded(seconds: object) -> float | None:
    if not isinstance(seconds, int | float) or not seconds >= 0:
        return None
    return min(float(seconds), LONGEST_RETRY_AFTER)


def pause(attempts: int, error: BaseException) -> float:
    """Return the seconds until the next attempt, after so many."""
    seconds = job_error(error).retry_after
    return backoff(attempts, FIRST_PAUSE, LONGEST_PAUSE) if seconds is None else seconds


def one_line(error: BaseException | None) -> str:
    """Return the error's type and the first line of its text."""
    text = storable(_message(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _message(error: BaseException | None) -> str:
    text = database_text(error) if error else None
    return str(error) if text is None else text


def log_text(error: BaseException | None) -> str:
    """Return the error's type and text for a log line, without the values that `one_line` may quote."""
    name, text = type(error).__name__, error_text(error) if error else ""
    return f"{name}: {text}" if text != name else name


def failure(actor: str, error: BaseException) -> Failure:
    """Describe the error for the row; its fingerprint is the same for the same type of error at the same place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].name}" if frames else ""
    digest = hashlib.sha1(f"{actor}:{type(error).__qualname__}:{place}".encode(), usedforsecurity=False)
    # an error may quote text that no database stores, and a failure that cannot be written would be retried without end
    text = storable(format_traceback(error))[-8000:]
    message = storable(_message(error)) or type(error).__name__
    return Failure(type(error).__name__, message, text, digest.hexdigest()[:12])
