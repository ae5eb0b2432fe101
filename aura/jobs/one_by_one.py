"""One by one: the jobs of a hint are claimed, worked and kept each by itself, for work that a crash must not repeat.

Its worker dies with one of them in hand, and no other is done twice or blamed. Each needs one transaction all the same: what
keeps a job claims the next. What takes long ends the hint, so that other threads share the rest; and what fails does too, for
the other side may have asked to be left alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from aura.jobs import attempt as attempts
from aura.jobs.actor import DurableActor, JobResult
from aura.jobs.attempt import Attempt
from aura.jobs.batches import batch_size
from aura.settings import get_settings
from db import hints, transaction
from db.jobs import Claimed

#: Seconds after which no further job of a hint is begun.
LONGEST = 0.2


class OneByOne(DurableActor):
    """A durable actor whose function gets one item at a time."""

    def __call__(self, job_ids: Sequence[int], lease: str | None = None) -> None:
        """Work off one hint; nobody takes these jobs eagerly, so there is never a lease."""
        attempt = attempts.begin(self.actor_name)
        left = sorted(job_ids)[: batch_size(self, get_settings())]
        try:
            left = self._go_on(attempt, [], left)
            # `while attempt.jobs` would let an interrupt pass by the `finally`, see `attempt.Cancelled`
            while True:
                if not attempt.jobs:
                    break
                self.about(attempt)
                done = self.work(attempt)
                if not done:
                    break
                left = self._go_on(attempt, done, left)
        finally:
            # however it ends, by an error, a time limit or a shutdown too: the rest must not wait to be missed
            if left:
                with transaction() as session:
                    hints.release(session, left)

    def _go_on(self, attempt: Attempt, done: list[JobResult], left: list[int]) -> list[int]:
        """Keep what is done and claim the next job, in one transaction. Returns what is left of the hint."""
        late = bool(done) and time.perf_counter() - attempt.started > LONGEST
        kept: list[Claimed] = []
        with transaction() as session:
            if done:
                kept = self.record(session, attempt, done)
            if late and left:
                hints.release(session, left)
            claimed = self.claim(left, attempt.lease, 1) if left and not late else []
        attempt.completed += kept
        attempt.jobs, attempt.since = claimed, time.perf_counter()
        return [each for each in left if each > claimed[0].id] if claimed else []
