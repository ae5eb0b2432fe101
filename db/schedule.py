"""Who leads the clock, and which slot of the timetable has run: two guarded rows make two clocks fire once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from db.bulk import upsert
from db.models import Lease, ScheduleRun
from db.time import from_now, now


def lead(session: Session, name: str, holder: str, seconds: float) -> int | None:
    """Take or renew the lease for some seconds. Returns its term, or None while somebody else leads.

    The term grows with every change of leader, so what an older leader still writes can be told apart.
    """
    statement = upsert(session, Lease).values(name=name, holder=holder, term=1, expires_at=from_now(seconds))
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "term": Lease.term + 1,
            "holder": holder,
            "expires_at": from_now(seconds),
        },
        where=Lease.expires_at < now(),
    ).returning(Lease.term)
    renewed = (
        update(Lease)
        .where(Lease.name == name, Lease.holder == holder, Lease.expires_at >= now())
        .values(expires_at=from_now(seconds))
        .returning(Lease.term)
    )
    return session.scalar(renewed) or session.scalar(statement)


def resign(session: Session, name: str, holder: str) -> None:
    """Give the lease up, so that another clock need not wait for it to expire."""
    session.execute(update(Lease).where(Lease.name == name, Lease.holder == holder).values(expires_at=from_now(-1)))


def start_slot(session: Session, job: str, slot: datetime, name: str, holder: str, term: int) -> bool:
    """Record that the slot runs. Returns False when it ran before, or when the lease is not ours any more."""
    ours = select(Lease.name).where(
        Lease.name == name, Lease.holder == holder, Lease.term == term, Lease.expires_at >= now()
    )
    if session.scalar(ours.with_for_update()) is None:
        return False
    statement = upsert(session, ScheduleRun).values(job=job, slot=slot, term=term, started_at=now())
    statement = statement.on_conflict_do_nothing(index_elements=["job", "slot"]).returning(ScheduleRun.id)
    return session.scalar(statement) is not None


def finish_slot(session: Session, job: str, slot: datetime, note: str) -> None:
    """Record what the slot did."""
    done = update(ScheduleRun).where(ScheduleRun.job == job, ScheduleRun.slot == slot)
    session.execute(done.values(finished_at=now(), note=note))


def last_slot(session: Session, job: str) -> datetime | None:
    """Return the newest slot of the job that ran."""
    newest = select(ScheduleRun.slot).where(
        ScheduleRun.job == job, or_(ScheduleRun.note != "missed", ScheduleRun.note.is_(None))
    )
    return session.scalar(newest.order_by(ScheduleRun.slot.desc()).limit(1))
