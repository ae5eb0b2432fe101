"""Runs of scheduled jobs: a unique row per job and time makes several schedulers run a job once.

A run that was missed while no scheduler ran is a row with the note MISSED until a backfill runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from db import leader_election
from db.models import ScheduleControl, ScheduleRun
from db.statements import on_postgresql, upsert
from db.time import now

#: The note of a missed run.
MISSED = "missed"


def start_run(
    session: Session, job: str, scheduled_at: datetime, name: str, holder: str, term: int, seconds: float
) -> bool:
    """Record the start of a run and renew the lease. Returns False when the run exists or another process leads.

    The row of the lease stays locked until the transaction ends, so no other process leads meanwhile. PostgreSQL ends a
    transaction that is idle, or a statement that runs, for longer than the lease.
    """
    if on_postgresql(session):
        for limit in ("idle_in_transaction_session_timeout", "statement_timeout"):
            session.execute(text(f"SET LOCAL {limit} = {int(seconds * 1000)}"))
    if not leader_election.renew(session, name, holder, term, seconds):
        return False
    statement: Any = upsert(session, ScheduleRun).values(
        job=job, scheduled_at=scheduled_at, term=term, started_at=now()
    )
    statement = statement.on_conflict_do_nothing(index_elements=["job", "scheduled_at"]).returning(ScheduleRun.id)
    return session.scalar(statement) is not None


def finish_run(session: Session, job: str, scheduled_at: datetime, note: str) -> None:
    """Record the end of a run and its result."""
    done = update(ScheduleRun).where(ScheduleRun.job == job, ScheduleRun.scheduled_at == scheduled_at)
    session.execute(done.values(finished_at=now(), note=note))


def record_manual_run(session: Session, job: str, scheduled_at: datetime, note: str) -> None:
    """Record a run that a person started."""
    session.add(
        ScheduleRun(job=job, scheduled_at=scheduled_at, term=0, started_at=scheduled_at, finished_at=now(), note=note)
    )


def record_missed(session: Session, job: str, times: Sequence[datetime], term: int) -> None:
    """Record missed runs."""
    if times:
        rows = [{"job": job, "scheduled_at": time, "term": term, "note": MISSED} for time in times]
        session.execute(
            upsert(session, ScheduleRun).on_conflict_do_nothing(index_elements=["job", "scheduled_at"]), rows
        )


def missed_runs(session: Session, job: str, limit: int) -> list[datetime]:
    """Return the times of missed runs, oldest first; the rows are locked, so that nobody runs one twice."""
    times = select(ScheduleRun.scheduled_at).where(ScheduleRun.job == job, ScheduleRun.note == MISSED)
    return list(
        session.scalars(times.order_by(ScheduleRun.scheduled_at).limit(limit).with_for_update(skip_locked=True))
    )


def last_run(session: Session, job: str) -> datetime | None:
    """Return the time of the newest run that the schedule started."""
    newest = select(ScheduleRun.scheduled_at).where(
        ScheduleRun.job == job, ScheduleRun.note != MISSED, ScheduleRun.term > 0
    )
    return session.scalar(newest.order_by(ScheduleRun.scheduled_at.desc()).limit(1))


def last_runs(session: Session, jobs: Collection[str]) -> dict[str, datetime]:
    """Return the time from which runs of each job may be missed: its last run, or a later change of its schedule or pause."""
    since = select(ScheduleControl.job, ScheduleControl.schedule_since).where(ScheduleControl.job.in_(jobs))
    found = {row.job: row.schedule_since for row in session.execute(since)}
    for job in jobs:
        times = [time for time in (last_run(session, job), found.get(job)) if time is not None]
        found[job] = max(times) if times else None
    return {job: time for job, time in found.items() if time is not None}


def follow(session: Session, schedules: Mapping[str, str], at: datetime) -> list[str]:
    """Store the schedule of each job, and the time of a change. Returns the jobs with another schedule than before."""
    known = {row.job: row for row in session.scalars(select(ScheduleControl).where(ScheduleControl.job.in_(schedules)))}
    changed = []
    for job, schedule in schedules.items():
        row = known.get(job)
        if row is None:
            session.execute(
                upsert(session, ScheduleControl)
                .values(job=job, schedule=schedule)
                .on_conflict_do_update(index_elements=["job"], set_={"schedule": schedule})
            )
        elif row.schedule != schedule:
            if row.schedule is not None:  # None: an earlier version of Aura, which stored no schedule
                row.schedule_since = at
                changed.append(job)
            row.schedule = schedule
    return changed


def delete_future(session: Session, jobs: Collection[str], after: datetime) -> int:
    """Delete the runs of these jobs that are later than a moment. Returns their number.

    They are of a scheduler or a database whose clock was wrong, and would keep the runs of these times from starting.
    """
    later = delete(ScheduleRun).where(ScheduleRun.job.in_(jobs), ScheduleRun.scheduled_at > after, ScheduleRun.term > 0)
    result: Any = session.execute(later.execution_options(synchronize_session=False))
    return int(result.rowcount)


def history(session: Session) -> dict[str, dict[str, Any]]:
    """Return the last run, its result and the number of missed runs, by job."""
    ran = ScheduleRun.note != MISSED
    latest = select(func.max(ScheduleRun.id)).where(ran).group_by(ScheduleRun.job)
    missing = select(ScheduleRun.job, func.count().label("runs")).where(ScheduleRun.note == MISSED)
    counts = {row.job: row.runs for row in session.execute(missing.group_by(ScheduleRun.job))}
    rows = session.scalars(select(ScheduleRun).where(ScheduleRun.id.in_(latest)))
    found = {row.job: {"last": row.started_at, "note": row.note, "missed": counts.pop(row.job, 0)} for row in rows}
    return found | {job: {"last": None, "note": "", "missed": count} for job, count in counts.items()}


def pause(session: Session, job: str, paused: bool, reason: str = "") -> None:
    """Pause a job until it is resumed, or resume it."""
    values: dict[str, Any] = {"paused": paused, "reason": reason if paused else "", "changed_at": now()}
    if not paused:  # no run of the pause was missed
        values["schedule_since"] = now()
    statement = upsert(session, ScheduleControl).values(job=job, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["job"], set_=values))


def paused(session: Session) -> dict[str, str]:
    """Return the reason of each paused job."""
    rows = select(ScheduleControl.job, ScheduleControl.reason).where(ScheduleControl.paused)
    return {row.job: row.reason for row in session.execute(rows)}
