"""Alerts: which conditions hold and since when, and whether the operators were notified.

pending --holds long enough--> firing --ends--> resolved
   |                                               |
   +--ends--> (no row)                             +--holds again--> pending
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, case, delete, null, select, update
from sqlalchemy.orm import Session

from db.models import Alert
from db.statements import table, upsert
from db.time import elapsed, now

_c = table(Alert).c


class AlertState(NamedTuple):
    """An alert that fires, or one that ended; `resolved_at` is None while it fires."""

    name: str
    detail: str
    fired_at: datetime
    resolved_at: datetime | None


def record(session: Session, found: Mapping[str, tuple[str, float]]) -> None:
    """Store which conditions hold now, by name: a text, and the seconds for which one must hold until it fires."""
    for name, (detail, seconds) in sorted(found.items()):
        again = _c.resolved_at.is_not(None)
        values = {"detail": detail, "seen_at": now()}
        statement = upsert(session, Alert).values(name=name, since=now(), **values)
        reset = {
            "since": case((again, now()), else_=_c.since),
            "fired_at": case((again, null()), else_=_c.fired_at),
            "notified_at": case((again, null()), else_=_c.notified_at),
        }
        session.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={**values, **reset, "resolved_at": null()})
        )
        fires = update(table(Alert)).where(_c.name == name, _c.fired_at.is_(None), elapsed(_c.since) >= seconds)
        session.execute(fires.values(fired_at=now(), notified_at=null()))
    ended = and_(_c.name.not_in(list(found)), _c.resolved_at.is_(None))
    session.execute(delete(table(Alert)).where(ended, _c.fired_at.is_(None)))
    session.execute(update(table(Alert)).where(ended).values(resolved_at=now(), notified_at=null()))


def to_notify(session: Session) -> list[AlertState]:
    """Return the alerts whose present state the operators do not know, oldest first."""
    unknown = and_(_c.fired_at.is_not(None), _c.notified_at.is_(None))
    return [AlertState(*row) for row in session.execute(select(*_FIELDS).where(unknown).order_by(_c.fired_at))]


def mark_notified(session: Session, alert: AlertState) -> None:
    """Store that the operators know this state of the alert; a later state stays unknown."""
    same = _c.resolved_at.is_(None) if alert.resolved_at is None else _c.resolved_at == alert.resolved_at
    known = update(table(Alert)).where(_c.name == alert.name, _c.fired_at == alert.fired_at, same)
    session.execute(known.values(notified_at=now()))


def firing(session: Session) -> list[AlertState]:
    """Return the alerts that fire, oldest first."""
    active = select(*_FIELDS).where(_c.fired_at.is_not(None), _c.resolved_at.is_(None))
    return [AlertState(*row) for row in session.execute(active.order_by(_c.fired_at))]


_FIELDS: tuple[Any, ...] = tuple(_c[name] for name in AlertState._fields)
