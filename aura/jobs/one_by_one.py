"""One by one: each job of a hint is claimed, run and completed by itself, for effects that a crash must not repeat.

A worker that dies holds one of the jobs, and no other is repeated or blamed. Each job still costs one transaction: the one
that completes a job claims the next. A job that takes long ends the hint, so that other threads share the rest; a failure
ends it too, for the other side may have asked for a pause.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from aura.jobs.actor import DurableActor, JobResult
from aura.jobs.attempt import Attempt
from db import hints, transaction
from db.jobs import Claimed

#: Seconds after which no further job of a hint is begun.
LONGEST = 0.2


class OneByOne(DurableActor):
    """A durable actor whose function gets one item at a time; such jobs are never dispatched locally."""

    def perform(self, attempt: Attempt, job_ids: Sequence[int]) -> None:
        """Work off one hint."""
        left = sorted(job_ids)[: self.batch_size()]
        try:
            attempt.jobs = self.when_available(attempt, lambda session: self.claim(session, attempt, left, 1))
            attempt.claimed = time.perf_counter()
            left = _behind(left, attempt.jobs)
            # `while attempt.jobs` would let an interrupt pass by the `finally`, see `Cancelled`
            while True:
                if not attempt.jobs:
                    break
                self.begin(attempt)
                results = self.run(attempt)
                if not results:
                    break
                left = self._advance(attempt, results, left)
        finally:
            # also after an error, a time limit or a shutdown: else the rest counts as lost hints first
            if left:
                self.when_available(attempt, lambda session: hints.release(session, left))

    def _advance(self, attempt: Attempt, results: list[JobResult], left: list[int]) -> list[int]:
        """Complete the present job and claim the next one, in one transaction. Returns the rest of the hint."""
        late = bool(results) and time.perf_counter() - attempt.started > LONGEST
        completed: list[Claimed] = []
        with transaction() as session:
            if results:
                completed = self.complete(session, attempt, results)
            if late and left:
                hints.release(session, left)
            claimed = self.claim(session, attempt, left, 1) if left and not late else []
        attempt.completed += completed
        attempt.jobs, attempt.claimed = claimed, time.perf_counter()
        return _behind(left, claimed)


def _behind(ids: list[int], claimed: list[Claimed]) -> list[int]:
    """Return the rest of the hint behind the claimed job; nothing when none could be claimed."""
    return [each for each in ids if each > claimed[0].id] if claimed else []
