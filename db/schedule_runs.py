"""Leader election of the scheduler, and the runs of scheduled jobs: two guarded rows make two schedulers fire once.

A run that was missed while no scheduler ran is a row with the note MISSED, until it is made up for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from db.models import LeaderLease, ScheduleControl, ScheduleRun
from db.statements import on_postgresql, upsert
from db.time import from_now, now

#: The note of a missed run.
MISSED = "missed"


def lead(session: Session, name: str, holder: str, seconds: float) -> int | None:
    """Take or renew the lease for some seconds. Returns its term, or None while another process leads.

    The term grows with every change of leader, so a write of an older leader is recognised.
    """
    statement: Any = upsert(session, LeaderLease).values(name=name, holder=holder, term=1, expires_at=from_now(seconds))
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "term": LeaderLease.term + 1,
            "holder": holder,
            "expires_at": from_now(seconds),
        },
        where=LeaderLease.expires_at < now(),
    ).returning(LeaderLease.term)
    renewed = (
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder, LeaderLease.expires_at >= now())
        .values(expires_at=from_now(seconds))
        .returning(LeaderLease.term)
    )
    return session.scalar(renewed) or session.scalar(statement)


def led(session: Session, name: str) -> bool:
    """Return whether a process holds the lease."""
    held = select(LeaderLease.name).where(LeaderLease.name == name, LeaderLease.expires_at >= now())
    return session.scalar(held) is not None


def renew(session: Session, name: str, holder: str, term: int, seconds: float) -> bool:
    """Hold the lease for some seconds more. Returns False when it is not ours any more."""
    ours = update(LeaderLease).where(
        LeaderLease.name == name,
        LeaderLease.holder == holder,
        LeaderLease.term == term,
        LeaderLease.expires_at >= now(),
    )
    return session.scalar(ours.values(expires_at=from_now(seconds)).returning(LeaderLease.term)) is not None


def extend(session: Session, name: str, holder: str, seconds: float) -> None:
    """Hold the lease for some seconds more, in the transaction that has locked it."""
    session.execute(
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder)
        .values(expires_at=from_now(seconds))
    )


def resign(session: Session, name: str, holder: str) -> None:
    """Give the lease up, so that another clock need not wait for it to expire."""
    session.execute(
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder)
        .values(expires_at=from_now(-1))
    )


def start_slot(session: Session, job: str, slot: datetime, name: str, holder: str, term: int, seconds: float) -> bool:
    """Record that the slot runs, and renew the lease. Returns False when it ran before, or the lease is not ours any more.

    The lease's row stays locked until the transaction ends, so no other process leads meanwhile. PostgreSQL ends a
    transaction whose process sleeps, or whose statement runs on, for longer than the lease lasts.
    """
    if on_postgresql(session):
        for limit in ("idle_in_transaction_session_timeout", "statement_timeout"):
            session.execute(text(f"SET LOCAL {limit} = {int(seconds * 1000)}"))
    if not renew(session, name, holder, term, seconds):
        return False
    statement: Any = upsert(session, ScheduleRun).values(job=job, scheduled_at=slot, term=term, started_at=now())
    statement = statement.on_conflict_do_nothing(index_elements=["job", "scheduled_at"]).returning(ScheduleRun.id)
    return session.scalar(statement) is not None


def finish_slot(session: Session, job: str, slot: datetime, note: str) -> None:
    """Record the outcome of the run."""
    done = update(ScheduleRun).where(ScheduleRun.job == job, ScheduleRun.scheduled_at == slot)
    session.execute(done.values(finished_at=now(), note=note))


def run_by_hand(session: Session, job: str, slot: datetime, note: str) -> None:
    """Record a run that a person asked for, at this moment."""
    session.add(ScheduleRun(job=job, scheduled_at=slot, term=0, started_at=slot, finished_at=now(), note=note))


def record_missed(session: Session, job: str, slots: Sequence[datetime], term: int) -> None:
    """Record the slots that went by."""
    if slots:
        rows = [{"job": job, "scheduled_at": slot, "term": term, "note": MISSED} for slot in slots]
        session.execute(
            upsert(session, ScheduleRun).on_conflict_do_nothing(index_elements=["job", "scheduled_at"]), rows
        )


def missed(session: Session, job: str, limit: int) -> list[datetime]:
    """Return the slots that went by, the oldest first; locked, so that two people do not run one twice."""
    slots = select(ScheduleRun.scheduled_at).where(ScheduleRun.job == job, ScheduleRun.note == MISSED)
    return list(
        session.scalars(slots.order_by(ScheduleRun.scheduled_at).limit(limit).with_for_update(skip_locked=True))
    )


def last_slot(session: Session, job: str) -> datetime | None:
    """Return the newest slot of the job that ran by the schedule."""
    newest = select(ScheduleRun.scheduled_at).where(
        ScheduleRun.job == job, ScheduleRun.note != MISSED, ScheduleRun.term > 0
    )
    return session.scalar(newest.order_by(ScheduleRun.scheduled_at.desc()).limit(1))


def history(session: Session) -> dict[str, dict[str, Any]]:
    """Return the last run of each job, its outcome, and the number of missed runs."""
    ran = ScheduleRun.note != MISSED
    latest = select(func.max(ScheduleRun.id)).where(ran).group_by(ScheduleRun.job)
    gone = select(ScheduleRun.job, func.count().label("slots")).where(ScheduleRun.note == MISSED)
    counts = {row.job: row.slots for row in session.execute(gone.group_by(ScheduleRun.job))}
    rows = session.scalars(select(ScheduleRun).where(ScheduleRun.id.in_(latest)))
    found = {row.job: {"last": row.started_at, "note": row.note, "missed": counts.pop(row.job, 0)} for row in rows}
    return found | {job: {"last": None, "note": "", "missed": count} for job, count in counts.items()}


def pause(session: Session, job: str, paused: bool, reason: str = "") -> None:
    """Pause a job, or resume it."""
    values = {"paused": paused, "reason": reason if paused else "", "changed_at": now()}
    statement = upsert(session, ScheduleControl).values(job=job, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["job"], set_=values))


def paused(session: Session) -> dict[str, str]:
    """Return the paused jobs, each with the reason."""
    held = select(ScheduleControl.job, ScheduleControl.reason).where(ScheduleControl.paused)
    return {row.job: row.reason for row in session.execute(held)}
