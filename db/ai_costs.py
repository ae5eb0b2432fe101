"""Costs of the remote engine, and the agreement of the two engines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.models import AiCall, VerdictRecord
from db.time import from_now

#: Newest verdicts that are counted.
COUNT_LIMIT = 50_000


def spent_today(session: Session) -> float:
    """Return the cost since midnight UTC, in US dollars."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return float(session.scalar(select(func.sum(AiCall.cost)).where(AiCall.created_at >= midnight)) or 0.0)


def by_model(session: Session, days: float) -> list[dict[str, Any]]:
    """Return calls, failures, tokens and US dollars by day and model, newest day first."""
    day = func.date(AiCall.created_at)
    failed = func.sum(case((AiCall.outcome != "answered", 1), else_=0))
    tokens = func.sum(AiCall.input_tokens), func.sum(AiCall.output_tokens)
    rows = session.execute(
        select(day, AiCall.model, func.count(), failed, *tokens, func.sum(AiCall.cost))
        .where(AiCall.created_at >= from_now(-days * 86_400))
        .group_by(day, AiCall.model)
        .order_by(day.desc(), AiCall.model)
    )
    names = ("day", "model", "calls", "failed", "input_tokens", "output_tokens", "dollars")
    return [dict(zip(names, (str(row[0]), *row[1:]), strict=True)) for row in rows]


def agreement(session: Session, days: float) -> dict[str, Any]:
    """Return counts of the verdicts of the last days, among the newest COUNT_LIMIT.

    `stepped_in` counts fallbacks to the local engine. `disagreement` is the share of the remote engine's verdicts with
    another category than the local engine's; a drift shows that an engine or the kind of tickets has changed.
    """
    v = VerdictRecord
    newest = (
        select(v.engine, v.fallback, v.cached, v.disagreement, v.created_at)
        .order_by(v.id.desc())
        .limit(COUNT_LIMIT)
        .subquery()
        .c
    )
    counted = session.execute(
        select(
            func.count(),
            func.sum(case((newest.engine != "local", 1), else_=0)),
            func.sum(case((newest.fallback != "", 1), else_=0)),
            func.sum(case((newest.cached, 1), else_=0)),
            func.sum(case((newest.disagreement != "", 1), else_=0)),
        ).where(newest.created_at >= from_now(-days * 86_400))
    ).one()
    verdicts, remote, stepped_in, cached, disagreed = (int(each or 0) for each in counted)
    return {
        "verdicts": verdicts,
        "remote": remote,
        "stepped_in": stepped_in,
        "cached": cached,
        "disagreed": disagreed,
        "disagreement": round(disagreed / remote, 4) if remote else None,
    }
