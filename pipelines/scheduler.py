"""The clock: runs the timetable, once a slot however many clocks there are.

1. Once a second the clock takes or renews the leader's lease; without it, it only watches.
2. A slot whose time has come is claimed by inserting its row (job, slot), in the transaction in which it runs, and only
   while the lease is ours: a leader that slept and wakes up after its term finds it cannot write.
3. After a stop, the latest slot that was missed runs, and the earlier ones are kept as missed: `aura schedule backfill`.
4. A job that an operator paused lets its slots go by.
5. What runs in a slot is short: what takes longer than the lease lasts is cut off. Long work is promised there, to workers.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.settings import first_line
from db import reading, schedule_runs, transaction
from pipelines.schedule import ScheduledJob, next_slot, schedule, trigger

logger = structlog.get_logger("aura.clock")

LEASE = "clock"
#: Seconds that a leader may be silent before another clock takes over.
LEASE_SECONDS = 15.0
#: Most missed slots of a job that are kept after a stop, the newest.
MISSED_KEPT = 1_000


class Scheduler:
    """One clock process or thread."""

    def __init__(self, entries: Sequence[ScheduledJob] | None = None) -> None:
        self.holder = uuid.uuid4().hex
        self.timetable = [each for each in (schedule() if entries is None else entries) if not each.off]
        self.term: int | None = None
        self._triggers = {entry.name: trigger(entry) for entry in self.timetable}
        self._next: dict[str, datetime] = {}
        self._scheduler: Any = None

    def tick(self, at: datetime | None = None) -> list[str]:
        """Renew the lease and run what is due. Returns the names of the entries that ran."""
        at = at or datetime.now(UTC)
        try:
            with transaction() as session:
                term = schedule_runs.lead(session, LEASE, self.holder, LEASE_SECONDS)
                held = schedule_runs.paused(session) if term is not None else {}
            if term is None:
                self.term, self._next = None, {}
                return []
            if term != self.term:
                logger.info("leads the timetable", term=term)
                self.term, self._next = term, self._plan(at)
            for name in held.keys() & self._next.keys():
                self._next[name] = max(self._next[name], self._after(name, at))
            return [entry.name for entry in self.timetable if self._next[entry.name] <= at and self._run(entry, at)]
        except SQLAlchemyError as error:
            logger.warning("the clock waits for the database", error=first_line(error))
            return []

    def _plan(self, at: datetime) -> dict[str, datetime]:
        """Return each entry's next slot: the one after its last run, or after now when it never ran."""
        with reading() as session:
            last = {entry.name: schedule_runs.last_slot(session, entry.name) for entry in self.timetable}
        return {name: self._after(name, slot or at) for name, slot in last.items()}

    def _after(self, name: str, slot: datetime) -> datetime:
        return next_slot(self._triggers[name], slot)

    def _run(self, entry: ScheduledJob, at: datetime) -> bool:
        slot, missed = self._next[entry.name], list[datetime]()
        while (following := self._after(entry.name, slot)) <= at:
            missed.append(slot)
            slot = following
        self._next[entry.name] = following
        if missed:
            logger.warning(
                "slots were missed; the latest runs now", job=entry.name, missed=len(missed), slot=slot.isoformat()
            )
        try:
            with transaction() as session:
                if not self._start(session, entry, slot):
                    return False
                count = entry.run()
                schedule_runs.record_missed(session, entry.name, missed[-MISSED_KEPT:], self.term or 0)
                note = f"{count} done" + (f", {len(missed)} missed" if missed else "")
                schedule_runs.finish_slot(session, entry.name, slot, note)
                # its time is up when the entry took long, but nobody could have taken it
                schedule_runs.extend(session, LEASE, self.holder, LEASE_SECONDS)
        except Exception as error:
            # the next slot must come whatever this one did; nothing of it was committed
            logger.error("a scheduled job failed", job=entry.name, slot=slot.isoformat(), exc_info=error)
            with transaction() as session:
                if self._start(session, entry, slot):
                    schedule_runs.record_missed(session, entry.name, missed[-MISSED_KEPT:], self.term or 0)
                    schedule_runs.finish_slot(session, entry.name, slot, f"failed: {first_line(error)}")
            return False
        logger.info("ran", job=entry.name, slot=slot.isoformat(), count=count)
        return True

    def _start(self, session: Session, entry: ScheduledJob, slot: datetime) -> bool:
        return schedule_runs.start_slot(session, entry.name, slot, LEASE, self.holder, self.term or 0, LEASE_SECONDS)

    def start(self, *, blocking: bool = False) -> None:
        """Tick every second, in a thread or in this one until it is interrupted."""
        from apscheduler.schedulers.background import BackgroundScheduler
        from apscheduler.schedulers.blocking import BlockingScheduler

        self._scheduler = (
            BlockingScheduler(timezone=UTC) if blocking else BackgroundScheduler(timezone=UTC, daemon=True)
        )
        self._scheduler.add_job(
            self.tick, "interval", seconds=1, max_instances=1, coalesce=True, misfire_grace_time=None
        )
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking and resign, so that another clock takes over at once."""
        if self._scheduler is not None and self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        try:
            with transaction() as session:
                schedule_runs.resign(session, LEASE, self.holder)
        except SQLAlchemyError as error:
            logger.warning("could not resign: the lease expires by itself", error=first_line(error))
