"""Incidents: similar tickets created within minutes.

A proposed incident becomes accepted (a parent ticket is created for it) or dismissed (its tickets are released). Only an
accepted one covers tickets, of which the desk is then not notified one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, exists, func, insert, select, text, update
from sqlalchemy.orm import Session

from aura.errors import Conflict, NotFound
from db.ids import is_id
from db.imported_tickets import SOURCE, is_imported
from db.models import Incident, Notification, Ticket
from db.similar import extract_terms
from db.statements import on_postgresql, table
from db.tickets import RESOLVED
from db.time import from_now, now

#: Advisory lock of incident detection on PostgreSQL; SQLite has one writer anyway.
DETECTION_LOCK = 0x41757262
#: Newest tickets that the detection reads: those of the last minutes, and earlier ones for the usual rate.
POOL = 3_000
#: Characters of a description that are read.
DESCRIPTION_CHARACTERS = 400
#: Source of the parent tickets of incidents.
OWN_SOURCE = "aura"

#: Terms of a title that are compared, and the share of common terms that makes two titles similar.
TITLE_TERMS, SIMILAR = 8, 0.6

_t, _i, _n = table(Ticket).c, table(Incident).c, table(Notification).c


class UnknownIncident(NotFound):
    """No incident has this id."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no incident {number}")


class IncidentDecided(Conflict):
    """The incident was accepted or dismissed before."""

    def __init__(self, number: int, state: str) -> None:
        super().__init__(f"incident {number} is already {state}")


class RecentTicket(NamedTuple):
    """The columns of a ticket that incident detection reads."""

    id: int
    title: str
    description: str
    requester: str
    language: str
    category: str | None
    priority: str | None
    created_at: datetime
    #: Created in the last minutes, and open.
    fresh: bool
    incident_id: int | None


class RecentIncident(NamedTuple):
    """The columns of an incident that incident detection reads."""

    id: int
    title: str
    state: str
    last_ticket_at: datetime


def is_from_requester(source: str) -> bool:
    """Return whether a requester creates the tickets of this source: not a file import, nor an incident itself."""
    return source != OWN_SOURCE and not is_imported(source)


def lock_detection(session: Session) -> None:
    """Lock incident detection until the transaction ends: two at once would propose the same incident."""
    if on_postgresql(session):
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": DETECTION_LOCK})


def recent_tickets(session: Session, minutes: float) -> list[RecentTicket]:
    """Return the newest tickets of requesters, oldest first; those of the last `minutes` are `fresh`."""
    newest = (
        select(
            *(
                _t.id,
                _t.title,
                func.substr(_t.description, 1, DESCRIPTION_CHARACTERS).label("description"),
                _t.requester,
                _t.language,
            ),
            *(_t.category, _t.priority, _t.created_at, _t.incident_id, _t.source),
            ((_t.created_at >= from_now(-minutes * 60)) & (_t.status == "open")).label("fresh"),
        )
        .order_by(_t.id.desc())
        .limit(POOL)
        .subquery("newest")
    )
    by_requesters = newest.c.source.not_in((SOURCE, OWN_SOURCE)) & ~newest.c.source.startswith(f"{SOURCE}:")
    rows = session.execute(select(newest).where(by_requesters).order_by(newest.c.id))
    return [RecentTicket(*(getattr(row, name) for name in RecentTicket._fields)) for row in rows]


def recent_incidents(session: Session, minutes: float) -> list[RecentIncident]:
    """Return the incidents of every state with a new ticket in the last minutes."""
    rows = session.execute(
        select(_i.id, _i.title, _i.state, _i.last_ticket_at)
        .where(_i.last_ticket_at >= from_now(-minutes * 60))
        .order_by(_i.id)
    )
    return [RecentIncident(*row) for row in rows]


def propose(session: Session, title: str, category: str, children: Sequence[RecentTicket]) -> int:
    """Create a proposed incident with these tickets. Returns its id."""
    new = insert(Incident).values(title=title, category=category).returning(_i.id)
    number: int = session.execute(new).scalar_one()
    add_tickets(session, number, children)
    return number


def add_tickets(session: Session, number: int, children: Sequence[RecentTicket]) -> None:
    """Add tickets to an incident, except for those that belong to one."""
    unassigned = update(table(Ticket)).where(_t.id.in_([each.id for each in children]), _t.incident_id.is_(None))
    session.execute(unassigned.values(incident_id=number))
    newest = max(each.created_at for each in children)
    session.execute(update(table(Incident)).where(_i.id == number).values(last_ticket_at=newest))


class ActiveIncident(NamedTuple):
    """An incident that new tickets may belong to, and the terms of its title."""

    id: int
    terms: frozenset[str]
    #: Of an accepted incident, the highest priority of its tickets at that moment; "" covers no ticket.
    priority: str
    #: The assignee of its parent ticket.
    assignee: str

    def matches(self, title: str) -> bool:
        """Return whether the title of a ticket is similar."""
        terms = frozenset(extract_terms(title, TITLE_TERMS))
        shorter = min(len(terms), len(self.terms))
        return shorter > 1 and len(terms & self.terms) >= SIMILAR * shorter


def active_incidents(session: Session, minutes: float) -> list[ActiveIncident]:
    """Return the incidents with a new ticket in the last minutes that were not dismissed."""
    recent = (_i.last_ticket_at >= from_now(-minutes * 60)) & (_i.state != "dismissed")
    return [
        ActiveIncident(row.id, frozenset(extract_terms(row.title, TITLE_TERMS)), *_covers(row))
        for row in session.execute(_WITH_PARENT.where(recent).order_by(_i.id))
    ]


class Covered(NamedTuple):
    """What an accepted incident, or the original of a duplicate, covers: priority and assignee."""

    priority: str
    assignee: str


def covered_by_incidents(session: Session, numbers: Collection[int]) -> dict[int, Covered]:
    """Return what each accepted one of these incidents covers."""
    if not numbers:
        return {}
    rows = session.execute(_WITH_PARENT.where(_i.id.in_(sorted(numbers)), _i.state == "accepted"))
    return {row.id: _covers(row) for row in rows}


def covered_by_originals(session: Session, numbers: Collection[int]) -> dict[int, Covered]:
    """Return what each of these tickets covers as the original of duplicates; a ticket without a verdict covers none."""
    if not numbers:
        return {}
    classified = (_t.id.in_(sorted(numbers)), _t.classified_at.is_not(None))
    rows = session.execute(select(_t.id, _t.priority, _t.assignee).where(*classified))
    return {row.id: Covered(row.priority or "", row.assignee or "") for row in rows}


_parent = table(Ticket).alias("parent")
_WITH_PARENT = select(_i.id, _i.title, _i.state, _i.priority, _parent.c.assignee, _parent.c.status).outerjoin_from(
    table(Incident), _parent, _parent.c.id == _i.parent_id
)


def _covers(row: Any) -> Covered:
    """Return what an incident covers: nothing before it is accepted, nor after its parent ticket is resolved."""
    accepted = row.state == "accepted" and row.status not in RESOLVED
    return Covered((row.priority or "") if accepted else "", (row.assignee or "") if accepted else "")


def assign_tickets(session: Session, incident_of: Mapping[int, int]) -> None:
    """Add tickets to incidents (incident id by ticket id), except for those that belong to one."""
    for number in sorted(set(incident_of.values())):
        ids = [ticket_id for ticket_id, incident in incident_of.items() if incident == number]
        unassigned = update(table(Ticket)).where(_t.id.in_(ids), _t.incident_id.is_(None))
        session.execute(unassigned.values(incident_id=number))
        session.execute(update(table(Incident)).where(_i.id == number).values(last_ticket_at=now()))


def raise_versions(session: Session, number: int) -> list[int]:
    """Raise the version of the incident's tickets of which only requesters were notified. Returns their ids."""
    agents_notified = exists().where(_n.ticket_id == _t.id, _n.role != "requester")
    tickets = update(table(Ticket)).where(_t.incident_id == number, _t.notified_at.is_not(None), ~agents_notified)
    return list(session.scalars(tickets.values(version=_t.version + 1).returning(_t.id)))


def decide(session: Session, number: int, state: str) -> Any:
    """Accept or dismiss a proposed incident and return its row. Raises UnknownIncident or IncidentDecided."""
    if not is_id(number):
        raise UnknownIncident(number)
    proposed = update(table(Incident)).where(_i.id == number, _i.state == "proposed").values(state=state)
    incident = session.execute(proposed.returning(*_i)).first()
    if incident is None:
        current = session.scalar(select(_i.state).where(_i.id == number))
        raise IncidentDecided(number, current) if current else UnknownIncident(number)
    return incident


def release_tickets(session: Session, number: int) -> None:
    """Remove all tickets from an incident."""
    session.execute(update(table(Ticket)).where(_t.incident_id == number).values(incident_id=None))


def tickets_of(session: Session, number: int) -> list[Any]:
    """Return id, title, language, priority and assignee of the incident's tickets."""
    tickets = (
        select(_t.id, _t.title, _t.language, _t.priority, _t.assignee).where(_t.incident_id == number).order_by(_t.id)
    )
    return list(session.execute(tickets))


def set_parent(session: Session, number: int, parent: int, category: str, priority: str, covered: str | None) -> None:
    """Set the parent ticket of an incident, with category and priority as set by a person.

    `covered` is the highest priority of the incident's tickets; None when none has one.
    """
    session.execute(update(table(Incident)).where(_i.id == number).values(parent_id=parent, priority=covered))
    verdict = {"category": category, "category_by": "human", "priority": priority, "priority_by": "human"}
    session.execute(update(table(Ticket)).where(_t.id == parent).values(verdict))


def unnotified_proposals(session: Session, limit: int) -> list[Any]:
    """Return id, title and category of the proposed incidents of which nobody was notified, the oldest first."""
    waiting = (_i.state == "proposed", _i.notified_at.is_(None))
    rows = session.execute(select(_i.id, _i.title, _i.category).where(*waiting).order_by(_i.id).limit(limit))
    return list(rows)


def mark_notified(session: Session, numbers: Sequence[int]) -> None:
    """Record that people were notified of these incidents."""
    session.execute(update(table(Incident)).where(_i.id.in_(numbers)).values(notified_at=now()))


def listing(session: Session, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest incidents with the number of their tickets."""
    own: ColumnElement[bool] = _t.incident_id == _i.id
    count = select(func.count()).select_from(table(Ticket)).where(own).correlate(table(Incident)).scalar_subquery()
    newest = select(*_i, count.label("tickets")).order_by(_i.id.desc()).limit(limit)
    if state is not None:
        newest = newest.where(_i.state == state)
    return [dict(row) for row in session.execute(newest).mappings()]
