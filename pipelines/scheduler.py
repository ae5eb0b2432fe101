"""The scheduler: starts each run of a scheduled job once, however many schedulers are running.

1. Once a second, a scheduler tries to acquire the leader lease. The leader renews it when a third of it has passed, and
   before each run. Without the lease a scheduler does nothing.
2. A due run is claimed by inserting its row (job, time), in the transaction in which it runs, and only while the lease is
   held: a leader that was suspended past its lease cannot write.
3. After a stop, the latest missed run of each job starts, and the earlier ones are stored as missed, for a backfill.
4. Runs of a paused job are skipped.
5. A run that takes longer than the lease is aborted. Long work is enqueued as jobs for the workers.
6. The time is the database's, so a wrong clock of this machine does not matter. When the database's clock goes back, the
   runs that are later than now are deleted, and the next runs are planned again.
7. A run is missed only under the schedule that was in force: not before a change of the schedule, nor during a pause.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.settings import first_line
from db import leader_election, schedule_runs, transaction
from pipelines.schedule import ScheduledJob

logger = structlog.get_logger("aura.scheduler")

#: Name of the leader lease.
LEASE = "scheduler"
#: Seconds without a renewal after which another scheduler takes the lease over.
LEASE_SECONDS = 15.0
#: Maximum number of missed runs of a job that are stored after a stop, the newest.
MISSED_STORED = 1_000
#: Time that a clock may be ahead of the next leader's: runs that are later than this are of a wrong clock.
TOLERANCE = timedelta(seconds=60)
#: Time by which the clock must go back until the runs are planned again.
BACK = timedelta(seconds=5)


class Scheduler:
    """One scheduler process or thread."""

    def __init__(self, jobs: Sequence[ScheduledJob]) -> None:
        self.holder = uuid.uuid4().hex
        self.jobs = [job for job in jobs if not job.off]
        self._schedules = {job.name: job.times for job in jobs}
        #: The term of the leader lease while this scheduler leads, else None.
        self.term: int | None = None
        self._next: dict[str, datetime] = {}
        #: The time of the last tick.
        self._last: datetime | None = None
        #: The same by the monotonic clock of this machine.
        self._ticked_at = 0.0
        self._scheduler: Any = None
        self._stopped = threading.Event()

    def tick(self, at: datetime | None = None) -> list[str]:
        """Renew the lease and start the due runs. Returns the names of the jobs that ran.

        `at` is the time, by default the database's.
        """
        try:
            with transaction() as session:
                lease = leader_election.acquire_lease(session, LEASE, self.holder, LEASE_SECONDS)
                paused = schedule_runs.paused(session) if lease is not None else {}
            if lease is None:
                self.term, self._next = None, {}
                return []
            at = at or lease.now
            if lease.term != self.term:
                logger.info("scheduler became leader", term=lease.term)
                self.term, self._next = lease.term, self._plan(at)
            elif self._last is not None and at < self._last - BACK:
                logger.warning("clock of the database went back", seconds=(self._last - at).total_seconds())
                self._next = self._plan(at)
            self._last, self._ticked_at = at, time.monotonic()
            for job in self.jobs:
                if job.name in paused:
                    self._next[job.name] = max(self._next[job.name], job.next_run(at))
            return [job.name for job in self.jobs if self._next[job.name] <= at and self._run(job, at)]
        except SQLAlchemyError as error:
            logger.warning("scheduler waits for the database", error=first_line(error))
            return []

    def tick_if_due(self) -> None:
        """Tick, unless this scheduler leads, no run is due, and a third of the lease has not passed since the last tick."""
        since = time.monotonic() - self._ticked_at
        if self.term is not None and self._last is not None and since < LEASE_SECONDS / 3:
            at = self._last + timedelta(seconds=since)
            if all(following > at for following in self._next.values()):
                return
        self.tick()

    def _plan(self, at: datetime) -> dict[str, datetime]:
        """Return the next run of each job: the one after its last run, or after now when it never ran."""
        names = [job.name for job in self.jobs]
        with transaction() as session:
            if future := schedule_runs.delete_future(session, names, at + TOLERANCE):
                logger.warning("runs deleted that are in the future: a clock was wrong", runs=future)
            for name in schedule_runs.follow(session, self._schedules, at):
                logger.info("schedule changed", job=name, schedule=self._schedules[name])
            last = schedule_runs.last_runs(session, names)
        return {job.name: job.next_run(min(last.get(job.name, at), at)) for job in self.jobs}

    def _run(self, job: ScheduledJob, at: datetime) -> bool:
        due, missed = self._next[job.name], list[datetime]()
        while (following := job.next_run(due)) <= at:
            missed.append(due)
            due = following
        self._next[job.name] = following
        if missed:
            logger.warning("scheduled runs missed", job=job.name, missed=len(missed), run=due.isoformat())
        try:
            with transaction() as session:
                if not self._start(session, job, due):
                    return False
                count = job.run()
                schedule_runs.record_missed(session, job.name, missed[-MISSED_STORED:], self.term or 0)
                note = f"{count} done" + (f", {len(missed)} missed" if missed else "")
                schedule_runs.finish_run(session, job.name, due, note)
                # a long run may outlast the lease; its row was locked, so no other scheduler could take it over
                leader_election.extend(session, LEASE, self.holder, LEASE_SECONDS)
        except Exception as error:
            # nothing of the run was committed; the other jobs and the next run go on
            logger.error("scheduled job failed", job=job.name, run=due.isoformat(), exc_info=error)
            with transaction() as session:
                if self._start(session, job, due):
                    schedule_runs.record_missed(session, job.name, missed[-MISSED_STORED:], self.term or 0)
                    schedule_runs.finish_run(session, job.name, due, f"failed: {first_line(error)}")
            return False
        logger.info("scheduled job completed", job=job.name, run=due.isoformat(), count=count)
        return True

    def _start(self, session: Session, job: ScheduledJob, due: datetime) -> bool:
        return schedule_runs.start_run(session, job.name, due, LEASE, self.holder, self.term or 0, LEASE_SECONDS)

    def start(self, *, blocking: bool = False) -> None:
        """Tick once a second if necessary, in a thread; `blocking` waits until the thread of the caller is interrupted."""
        from apscheduler.schedulers.background import BackgroundScheduler

        self._scheduler = BackgroundScheduler(timezone=UTC, daemon=True)
        self._scheduler.add_job(
            self.tick_if_due, "interval", seconds=1, max_instances=1, coalesce=True, misfire_grace_time=None, id="tick"
        )
        self._scheduler.start()
        if blocking:
            self._keep_ticking()
        else:
            threading.Thread(target=self._keep_ticking, name="scheduler-clock", daemon=True).start()

    def _keep_ticking(self) -> None:
        """Tick at once when the clock of this machine went back: APScheduler would wait until the former time."""
        while not self._stopped.wait(1):
            job = self._scheduler.get_job("tick")
            if job is None or job.next_run_time is None:
                continue
            ahead = job.next_run_time - datetime.now(UTC)
            if ahead > BACK:
                logger.warning("clock of this machine went back", seconds=ahead.total_seconds())
                job.modify(next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """Stop ticking and release the lease, so that another scheduler leads at once."""
        self._stopped.set()
        if self._scheduler is not None and self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        try:
            with transaction() as session:
                leader_election.release(session, LEASE, self.holder)
        except SQLAlchemyError as error:
            logger.warning("leader lease not released, it expires", error=first_line(error))
