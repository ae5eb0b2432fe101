"""Metric samples: one value a minute of each metric, for charts. Every query is bounded and uses an index.

received, classified, notified    tickets of the last minute
seconds.p50, seconds.p95          from received to notified, of tickets notified in the last five minutes
due.{queue}, oldest.{queue}       available and queued jobs, and the seconds since the oldest became due
dead                              unresolved dead letters
dollars                           cost of the remote engine today
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from db import ai_costs, queue_stats
from db.ids import parse_ids
from db.models import ARRIVED_AT, Attempt, DeadLetter, MetricSample, Ticket
from db.queue_stats import COUNT_LIMIT
from db.statements import upsert
from db.time import from_now, now

#: Seconds whose tickets are measured, and the largest number of them.
MEASURED_SECONDS, MEASURED = 300.0, 1_000
#: Metric that counts the completed jobs of an actor.
STEPS = {"classify": "classified", "notify": "notified"}


def record(session: Session, queues: Mapping[str, str]) -> int:
    """Write the samples of this minute, if there are none; `queues` maps actors to queues. Returns their number."""
    minute = _clock(session).replace(second=0, microsecond=0)
    values = {
        **_tickets(session),
        **pipeline_seconds(session),
        **_due(session, queues),
        "dead": _count(session, select(DeadLetter.id).where(DeadLetter.state == "dead").order_by(DeadLetter.id)),
        "dollars": ai_costs.spent_today(session),
    }
    rows = [{"name": name, "at": minute, "value": float(value)} for name, value in sorted(values.items())]
    samples: Any = upsert(session, MetricSample).values(rows)  # one statement: with a list beside it, one for each row
    session.execute(samples.on_conflict_do_nothing(index_elements=["name", "at"]))
    return len(rows)


def series(session: Session, names: Sequence[str], since: datetime) -> dict[str, list[tuple[datetime, float]]]:
    """Return the samples of each name since then, oldest first; a name that ends with "." matches as a prefix."""
    matches = or_(
        *[
            MetricSample.name.startswith(n, autoescape=True) if n.endswith(".") else MetricSample.name == n
            for n in names
        ]
    )
    samples: dict[str, list[tuple[datetime, float]]] = {}
    points = select(MetricSample.name, MetricSample.at, MetricSample.value).where(matches, MetricSample.at >= since)
    for row in session.execute(points.order_by(MetricSample.name, MetricSample.at)):
        samples.setdefault(row.name, []).append((row.at, row.value))
    return samples


def _clock(session: Session) -> datetime:
    moment: datetime | None = session.scalar(select(now()))
    assert moment is not None
    return moment


def _before(session: Session, model: Any, seconds: float, created_at: Any = None) -> int:
    """Return the id of a row that is a little older than so many seconds, by a few lookups of the primary key."""
    newest = session.scalar(select(func.max(model.id))) or 0
    step = 250
    while step < newest:
        probe = select(model.id, (model.created_at if created_at is None else created_at) < from_now(-seconds)).where(
            model.id <= newest - step
        )
        row = session.execute(probe.order_by(model.id.desc()).limit(1)).one_or_none()
        if row is None:
            break
        if row[1]:
            return int(row[0])
        step *= 4
    return 0


def _tickets(session: Session) -> dict[str, float]:
    since = Ticket.id > _before(session, Ticket, 60, ARRIVED_AT), from_now(-60) <= ARRIVED_AT
    values: dict[str, float] = {"received": session.scalar(select(func.count()).where(*since)) or 0}
    completed = select(Attempt.actor, func.count()).where(
        Attempt.id > _before(session, Attempt, 60),
        Attempt.created_at >= from_now(-60),
        Attempt.outcome == "completed",
        Attempt.actor.in_(STEPS),
    )
    counts = {row[0]: row[1] for row in session.execute(completed.group_by(Attempt.actor))}
    return values | {name: counts.get(actor, 0) for actor, name in STEPS.items()}


def pipeline_seconds(session: Session) -> dict[str, float]:
    """Return `seconds.p50` and `seconds.p95` of the runs that completed recently; empty without one."""
    last = select(Attempt.key).where(
        Attempt.id > _before(session, Attempt, MEASURED_SECONDS),
        Attempt.created_at >= from_now(-MEASURED_SECONDS),
        Attempt.actor == "notify",
        Attempt.pipeline == "triage",
        Attempt.outcome == "completed",
    )
    ids = parse_ids(session.scalars(last.order_by(Attempt.id.desc()).limit(MEASURED)))
    times = select(ARRIVED_AT.label("arrived_at"), Ticket.notified_at).where(
        Ticket.id.in_(ids), Ticket.notified_at.is_not(None)
    )
    each = sorted((row.notified_at - row.arrived_at).total_seconds() for row in session.execute(times))
    if not each:
        return {}
    return {f"seconds.p{share}": each[min(len(each) * share // 100, len(each) - 1)] for share in (50, 95)}


def _due(session: Session, queues: Mapping[str, str]) -> dict[str, float]:
    values: dict[str, float] = {}
    for actor, each in queue_stats.backlog(session, queues).items():
        queue = queues[actor]
        count = min(each.available, COUNT_LIMIT) + min(each.queued, COUNT_LIMIT)
        values[f"due.{queue}"] = values.get(f"due.{queue}", 0) + count
        values[f"oldest.{queue}"] = max(values.get(f"oldest.{queue}", 0.0), each.oldest_seconds)
    return values


def _count(session: Session, chosen: Any) -> int:
    return session.scalar(select(func.count()).select_from(chosen.limit(COUNT_LIMIT).subquery())) or 0
