"""Turns: sources, and the requesters of each source, share a dispatch while more jobs are due than may be dispatched.

The jobs of a dispatch are divided among the sources with due jobs, by weight, and then equally among the requesters of each:
deficit round robin (Shreedhar and Varghese, 1995) between sources, and round robin between requesters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from db import fair_shares
from db.hints import Dispatched

#: Most sources whose turns are remembered.
REMEMBERED = 10_000

#: An actor and a priority.
_Bucket = tuple[str, int]


class Turns:
    """The turns of one relay."""

    def __init__(self, weights: Mapping[int, float] | None = None) -> None:
        #: The weights of source parts; others weigh 1.
        self._weights = weights or {}
        #: The fraction of a job that is owed to each source.
        self._owed: dict[tuple[_Bucket, int], float] = {}
        #: The share behind which the next turn of a source begins.
        self._after: dict[tuple[_Bucket, int], int] = {}

    def dispatch(self, session: Session, actor: str, priority: int, limit: int) -> list[Dispatched]:
        """Mark at most `limit` due jobs as dispatched; fewer when a source or requester has fewer than its share."""
        self._forget()
        bucket = (actor, priority)
        found: list[Dispatched] = []
        for source, jobs in self._divide(bucket, fair_shares.waiting_sources(session, *bucket), limit).items():
            turn = (bucket, source)
            after = self._after.get(turn, -1)
            dispatched, self._after[turn] = fair_shares.dispatch_source(session, *bucket, source, jobs, after)
            found += dispatched
        return found

    def _divide(self, bucket: _Bucket, sources: Sequence[int], limit: int) -> dict[int, int]:
        """Return the number of jobs of each source that has a turn; together they are the limit."""
        total = sum(self._weights.get(source, 1.0) for source in sources)
        owed = {
            source: self._owed.get((bucket, source), 0.0) + limit * self._weights.get(source, 1.0) / total
            for source in sources
        }
        turns = {source: max(int(jobs), 0) for source, jobs in owed.items()}
        # fractions: one job each, for those to which most is owed
        left = max(limit - sum(turns.values()), 0)
        for source in sorted(sources, key=lambda source: turns[source] - owed[source])[:left]:
            turns[source] += 1
        self._owed.update({(bucket, source): owed[source] - turns[source] for source in sources})
        return {source: jobs for source, jobs in turns.items() if jobs}

    def _forget(self) -> None:
        for turns in (self._owed, self._after):
            if len(turns) > REMEMBERED:
                turns.clear()
