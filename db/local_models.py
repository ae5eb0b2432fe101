"""Local models that were trained on this installation, and the reviewed tickets that they are trained on.

At most one is active; without one, the shipped model answers. A worker polls the active version and loads the body when it
changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.models import Correction, LocalModel, Ticket
from db.statements import table, upsert
from db.time import now

#: Version name of the model in the package.
SHIPPED = "shipped"

_m, _t, _c = table(LocalModel).c, table(Ticket).c, table(Correction).c


class UnknownLocalModel(NotFound):
    """No local model has this version."""


class ReviewedTicket(NamedTuple):
    """A ticket with the category and priority that a person set or confirmed, else None."""

    title: str
    description: str
    category: str | None
    priority: str | None


def reviewed_tickets(session: Session) -> list[ReviewedTicket]:
    """Return all reviewed tickets, oldest first, with the values of the newest correction or of the ticket."""
    newest = select(func.max(_c.id)).group_by(_c.ticket_id, _c.field)
    reviews = (
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
        func.coalesce(reviews.c[name], case((_t[f"{name}_by"] == "human", _t[name]))).label(name)
        for name in ("category", "priority")
    ]
    rows = session.execute(
        select(_t.title, _t.description, *fields)
        .join_from(table(Ticket), reviews, reviews.c.ticket_id == _t.id, isouter=True)
        .where(or_(reviews.c.ticket_id.is_not(None), _t.category_by == "human", _t.priority_by == "human"))
        .order_by(_t.id)
    )
    return [ReviewedTicket(*row) for row in rows]


def store(session: Session, version: str, body: bytes, report: dict[str, Any]) -> None:
    """Store a model (gzipped JSON) and its evaluation report; an equal version is replaced."""
    statement = upsert(session, LocalModel).values(version=version, body=body, report=report, created_at=now())
    replaced = {name: statement.excluded[name] for name in ("body", "report", "created_at")}
    session.execute(statement.on_conflict_do_update(index_elements=["version"], set_=replaced))


def activate(session: Session, version: str) -> None:
    """Activate a version, or the shipped model. Raises UnknownLocalModel."""
    shipped = version == SHIPPED
    if not shipped and not session.scalar(select(func.count()).where(_m.version == version)):
        raise UnknownLocalModel(f"no local model {version!r}")
    # one statement for all rows, so that two concurrent calls leave one active
    session.execute(update(table(LocalModel)).values(active=False if shipped else _m.version == version))


def active(session: Session, known: str = "") -> tuple[str, bytes | None] | None:
    """Return the active version and its body, or None; the body is None when the version is `known`."""
    body = case((_m.version != known, _m.body))
    row = session.execute(select(_m.version, body).where(_m.active).order_by(_m.created_at.desc()).limit(1)).first()
    return (row[0], row[1]) if row else None


def body(session: Session, version: str) -> bytes | None:
    """Return the gzipped JSON of a version, or None."""
    return session.scalar(select(_m.body).where(_m.version == version))


def listing(session: Session) -> list[dict[str, Any]]:
    """Return version, active, created_at and report of the stored models, newest first."""
    names = ("version", "active", "created_at", "report")
    rows = session.execute(select(*[_m[name] for name in names]).order_by(_m.created_at.desc(), _m.version))
    return [dict(row._mapping) for row in rows]


def versions(session: Session) -> list[dict[str, Any]]:
    """Return every version that can be activated, the shipped one last."""
    trained = listing(session)
    active = not any(row["active"] for row in trained)
    return [*trained, {"version": SHIPPED, "active": active, "created_at": None, "report": {}}]
