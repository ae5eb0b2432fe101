"""Local models that were learned here, and the tickets they learn from.

At most one is active; when none is, the shipped model answers. A worker asks for the version every now and then and
reads the body only when it changed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.models import Correction, LocalModel, Ticket
from db.statements import table, upsert
from db.time import now

#: The name of the model that comes with Aura.
SHIPPED = "shipped"

_m, _t, _c = table(LocalModel).c, table(Ticket).c, table(Correction).c


class UnknownVersion(NotFound):
    """No local model of this version was learned here."""


class Judged(NamedTuple):
    """A ticket of which a human set or confirmed the category, the priority or both; None is what nobody judged."""

    title: str
    description: str
    category: str | None
    priority: str | None


def judged(session: Session) -> list[Judged]:
    """Return every ticket that a human judged, oldest first: by its newest correction, else by what it says."""
    newest = select(func.max(_c.id)).group_by(_c.ticket_id, _c.field)
    said = (
        select(
            _c.ticket_id,
            func.max(case((_c.field == "category", _c.new))).label("category"),
            func.max(case((_c.field == "priority", _c.new))).label("priority"),
        )
        .where(_c.id.in_(newest))
        .group_by(_c.ticket_id)
        .subquery()
    )
    fields = [
        func.coalesce(said.c[name], case((_t[f"{name}_by"] == "human", _t[name]))).label(name)
        for name in ("category", "priority")
    ]
    rows = session.execute(
        select(_t.title, _t.description, *fields)
        .join_from(table(Ticket), said, said.c.ticket_id == _t.id, isouter=True)
        .where(or_(said.c.ticket_id.is_not(None), _t.category_by == "human", _t.priority_by == "human"))
        .order_by(_t.id)
    )
    return [Judged(*row) for row in rows]


def store(session: Session, version: str, body: bytes, report: dict[str, Any]) -> None:
    """Keep a model, gzipped JSON; learning the same again brings its report up to date."""
    row = upsert(session, table(LocalModel)).values(version=version, body=body, report=report, created_at=now())
    fresh = {name: row.excluded[name] for name in ("body", "report", "created_at")}
    session.execute(row.on_conflict_do_update(index_elements=["version"], set_=fresh))


def use(session: Session, version: str) -> None:
    """Make a version the active one, or the shipped model. Raises UnknownVersion."""
    shipped = version == SHIPPED
    if not shipped and not session.scalar(select(func.count()).where(_m.version == version)):
        raise UnknownVersion(f"there is no local model {version!r}; `aura models list` shows those there are")
    chosen = False if shipped else _m.version == version
    # all in one statement, so that two operators at the same time leave one active
    session.execute(update(table(LocalModel)).values(active=chosen))


def active(session: Session, known: str = "") -> tuple[str, bytes | None] | None:
    """Return the active version and its body, None without one; the body is None when the version is `known`."""
    body = case((_m.version != known, _m.body))
    row = session.execute(select(_m.version, body).where(_m.active).order_by(_m.created_at.desc()).limit(1)).first()
    return (row[0], row[1]) if row else None


def body(session: Session, version: str) -> bytes | None:
    """Return the gzipped JSON of a version, if there is such a one."""
    return session.scalar(select(_m.body).where(_m.version == version))


def listing(session: Session) -> list[dict[str, Any]]:
    """Return every version, newest first: version, active, created_at, report."""
    names = ("version", "active", "created_at", "report")
    rows = session.execute(select(*[_m[name] for name in names]).order_by(_m.created_at.desc(), _m.version))
    return [dict(row._mapping) for row in rows]


def choices(session: Session) -> list[dict[str, Any]]:
    """Return every version that can be used, the shipped one last."""
    learned = listing(session)
    active = not any(row["active"] for row in learned)
    return [*learned, {"version": SHIPPED, "active": active, "created_at": None, "report": {}}]
