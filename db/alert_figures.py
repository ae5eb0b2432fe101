"""Figures of the alert rules that no page shows: failed attempts, crashes, fallbacks and new dead letters of the last minutes."""

from __future__ import annotations

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.models import Attempt, DeadLetter, VerdictRecord
from db.time import from_now

#: Newest rows that are read.
LIMIT = 20_000


def retried_shares(session: Session, seconds: float) -> dict[str, float]:
    """Return the share of the retried attempts of each actor within the last seconds."""
    newest = select(Attempt.actor, Attempt.outcome).where(Attempt.created_at >= from_now(-seconds))
    recent = newest.order_by(Attempt.id.desc()).limit(LIMIT).subquery().c
    retried = func.sum(case((recent.outcome == "retried", 1), else_=0))
    rows = session.execute(select(recent.actor, retried, func.count()).group_by(recent.actor))
    return {row[0]: int(row[1]) / int(row[2]) for row in rows}


def crashes(session: Session, seconds: float) -> int:
    """Return the number of attempts within the last seconds that ended with their worker."""
    newest = select(Attempt.outcome).where(Attempt.created_at >= from_now(-seconds))
    recent = newest.order_by(Attempt.id.desc()).limit(LIMIT).subquery().c
    return session.scalar(select(func.count()).where(recent.outcome == "crashed")) or 0


def new_dead_letters(session: Session, seconds: float) -> int:
    """Return the number of dead letters of the last seconds that nobody has resolved."""
    newest = select(DeadLetter.state).where(DeadLetter.created_at >= from_now(-seconds))
    recent = newest.order_by(DeadLetter.id.desc()).limit(LIMIT).subquery().c
    return session.scalar(select(func.count()).where(recent.state == "dead")) or 0


def fallback_share(session: Session, seconds: float) -> float:
    """Return the share of the verdicts of the last seconds with which the local engine replaced a remote one."""
    newest = select(VerdictRecord.fallback).where(VerdictRecord.created_at >= from_now(-seconds))
    recent = newest.order_by(VerdictRecord.id.desc()).limit(LIMIT).subquery().c
    fallbacks, verdicts = session.execute(
        select(func.sum(case((recent.fallback != "", 1), else_=0)), func.count())
    ).one()
    return int(fallbacks or 0) / verdicts if verdicts else 0.0
