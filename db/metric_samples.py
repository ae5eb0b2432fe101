"""Samples: figures of each minute, for charts. Every query is bounded, and reads by an index.

received, classified, notified    tickets of the last minute
seconds.p50, seconds.p95          from received to notified, of those notified in the last five minutes
due.{queue}, oldest.{queue}       jobs that are due and not running, and the seconds that the oldest of them is due
dead                              dead letters that nobody has looked at
dollars                           spent on the remote engine today
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from db import ai_costs, queue_stats
from db.models import Attempt, DeadLetter, MetricSample, Ticket
from db.queue_stats import MOST
from db.statements import upsert
from db.time import from_now, now

#: Seconds of the tickets whose time is measured, and how many of them.
MEASURED_SECONDS, MEASURED = 300.0, 1_000
#: The step whose end each count is of.
STEPS = {"classify": "classified", "notify": "notified"}


def record(session: Session, queues: Mapping[str, str]) -> int:
    """Write the figures of this minute, once; `queues` names the queue of each actor. Returns how many."""
    minute = _clock(session).replace(second=0, microsecond=0)
    figures = {
        **_tickets(session),
        **seconds(session),
        **_due(session, queues),
        "dead": _count(session, select(DeadLetter.id).where(DeadLetter.state == "dead").order_by(DeadLetter.id)),
        "dollars": ai_costs.today(session),
    }
    rows = [{"name": name, "at": minute, "value": float(value)} for name, value in sorted(figures.items())]
    session.execute(upsert(session, MetricSample).on_conflict_do_nothing(index_elements=["name", "at"]), rows)
    return len(rows)


def series(session: Session, names: Sequence[str], since: datetime) -> dict[str, list[tuple[datetime, float]]]:
    """Return the points of each name since then, oldest first; a name that ends with "." is all that begin with it."""
    wanted = or_(
        *[
            MetricSample.name.startswith(n, autoescape=True) if n.endswith(".") else MetricSample.name == n
            for n in names
        ]
    )
    found: dict[str, list[tuple[datetime, float]]] = {}
    points = select(MetricSample.name, MetricSample.at, MetricSample.value).where(wanted, MetricSample.at >= since)
    for row in session.execute(points.order_by(MetricSample.name, MetricSample.at)):
        found.setdefault(row.name, []).append((row.at, row.value))
    return found


def _clock(session: Session) -> datetime:
    moment: datetime | None = session.scalar(select(now()))
    assert moment is not None
    return moment


def _before(session: Session, model: Any, seconds: float) -> int:
    """Return an id that is older than so many seconds, and not by far: by a few probes of the primary key."""
    newest = session.scalar(select(func.max(model.id))) or 0
    step = 250
    while step < newest:
        probe = select(model.id, model.created_at < from_now(-seconds)).where(model.id <= newest - step)
        row = session.execute(probe.order_by(model.id.desc()).limit(1)).one_or_none()
        if row is None:
            break
        if row[1]:
            return int(row[0])
        step *= 4
    return 0


def _tickets(session: Session) -> dict[str, float]:
    since = Ticket.id > _before(session, Ticket, 60), Ticket.created_at >= from_now(-60)
    figures: dict[str, float] = {"received": session.scalar(select(func.count()).where(*since)) or 0}
    kept = select(Attempt.actor, func.count()).where(
        Attempt.id > _before(session, Attempt, 60),
        Attempt.created_at >= from_now(-60),
        Attempt.outcome == "completed",
        Attempt.actor.in_(STEPS),
    )
    done = {row[0]: row[1] for row in session.execute(kept.group_by(Attempt.actor))}
    return figures | {name: done.get(actor, 0) for actor, name in STEPS.items()}


def seconds(session: Session) -> dict[str, float]:
    """Return how long the journeys that ended lately took; empty when none did."""
    last = select(Attempt.key).where(
        Attempt.id > _before(session, Attempt, MEASURED_SECONDS),
        Attempt.created_at >= from_now(-MEASURED_SECONDS),
        Attempt.actor == "notify",
        Attempt.pipeline == "triage",
        Attempt.outcome == "completed",
    )
    ids = [int(key) for key in session.scalars(last.order_by(Attempt.id.desc()).limit(MEASURED)) if key.isdecimal()]
    took = select(Ticket.created_at, Ticket.notified_at).where(Ticket.id.in_(ids), Ticket.notified_at.is_not(None))
    each = sorted((row.notified_at - row.created_at).total_seconds() for row in session.execute(took))
    if not each:
        return {}
    return {f"seconds.p{share}": each[min(len(each) * share // 100, len(each) - 1)] for share in (50, 95)}


def _due(session: Session, queues: Mapping[str, str]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for actor, each in queue_stats.backlog(session, queues).items():
        queue = queues[actor]
        count = min(each.available, MOST) + min(each.queued, MOST)
        figures[f"due.{queue}"] = figures.get(f"due.{queue}", 0) + count
        figures[f"oldest.{queue}"] = max(figures.get(f"oldest.{queue}", 0.0), each.oldest)
    return figures


def _count(session: Session, chosen: Any) -> int:
    return session.scalar(select(func.count()).select_from(chosen.limit(MOST).subquery())) or 0
