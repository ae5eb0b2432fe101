"""Incidents: bursts of similar tickets, proposed as one matter, and what a person decided about each.

proposed -> accepted (one ticket, its parent, stands for all) or dismissed (its tickets are free again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, exists, func, insert, select, text, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.models import Incident, Notification, Ticket
from db.similar import telling
from db.statements import on_postgresql, table
from db.time import from_now, now

#: PostgreSQL's number of the lock that lets one sweep look at a time; SQLite has one writer anyway.
SWEEP_LOCK = 0x41757262
#: Newest tickets that a sweep looks at: those of the last minutes, and before them what is usual.
POOL = 3_000
#: Characters of a description that are looked at.
READ = 400
#: Tickets that nobody reported just now: read from a file, or made by Aura itself.
NO_REPORTS = ("import", "aura")

#: Words of a title that count, and the share of them that two titles on one matter have in common.
TITLE_WORDS, SIMILAR = 8, 0.6

_t, _i, _n = table(Ticket).c, table(Incident).c, table(Notification).c


class NotDecidable(NotFound):
    """There is no such incident, or it was decided before; the text says which."""


class Report(NamedTuple):
    """What the sweep needs of a ticket."""

    id: int
    title: str
    description: str
    requester: str
    language: str
    category: str | None
    priority: str | None
    created_at: datetime
    #: Whether it came in the last minutes and is open.
    fresh: bool
    #: The incident it belongs to, proposed or accepted.
    incident_id: int | None


class Proposal(NamedTuple):
    """An incident as the sweep sees it."""

    id: int
    title: str
    state: str
    last_ticket_at: datetime


def alone(session: Session) -> None:
    """Wait until no other sweep looks; it would propose the same incident."""
    if on_postgresql(session):
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SWEEP_LOCK})


def reports(session: Session, minutes: float) -> list[Report]:
    """Return the newest tickets that people reported, oldest first."""
    newest = (
        select(
            *(_t.id, _t.title, func.substr(_t.description, 1, READ).label("description"), _t.requester, _t.language),
            *(_t.category, _t.priority, _t.created_at, _t.incident_id, _t.source),
            ((_t.created_at >= from_now(-minutes * 60)) & (_t.status == "open")).label("fresh"),
        )
        .order_by(_t.id.desc())
        .limit(POOL)
        .subquery("newest")
    )
    found = session.execute(select(newest).where(newest.c.source.not_in(NO_REPORTS)).order_by(newest.c.id))
    return [Report(*(getattr(row, name) for name in Report._fields)) for row in found]


def recent(session: Session, minutes: float) -> list[Proposal]:
    """Return the incidents that grew in the last minutes, whatever was decided."""
    found = session.execute(
        select(_i.id, _i.title, _i.state, _i.last_ticket_at)
        .where(_i.last_ticket_at >= from_now(-minutes * 60))
        .order_by(_i.id)
    )
    return [Proposal(*row) for row in found]


def propose(session: Session, title: str, category: str, children: Sequence[Report]) -> int:
    """Record a new incident of these tickets, which belong to none. Returns its number."""
    new = insert(Incident).values(title=title, category=category).returning(_i.id)
    number: int = session.execute(new).scalar_one()
    grow(session, number, children)
    return number


def grow(session: Session, number: int, children: Sequence[Report]) -> None:
    """Let these tickets belong to the incident too, unless they belong to one."""
    mine = update(table(Ticket)).where(_t.id.in_([each.id for each in children]), _t.incident_id.is_(None))
    session.execute(mine.values(incident_id=number))
    newest = max(each.created_at for each in children)
    session.execute(update(table(Incident)).where(_i.id == number).values(last_ticket_at=newest))


class Active(NamedTuple):
    """An incident that tickets may belong to, with the words that tell what it is about."""

    id: int
    words: frozenset[str]

    def is_about(self, ticket: Any) -> bool:
        """Return whether a ticket that somebody reported says the same in its title."""
        said = frozenset(telling(ticket.title, TITLE_WORDS))
        most = min(len(said), len(self.words))
        return most > 1 and len(said & self.words) >= SIMILAR * most


def active(session: Session, minutes: float) -> list[Active]:
    """Return the incidents that grew in the last minutes and were not dismissed."""
    alive = [each for each in recent(session, minutes) if each.state != "dismissed"]
    return [Active(each.id, frozenset(telling(each.title, TITLE_WORDS))) for each in alive]


def join(session: Session, joined: Mapping[int, int]) -> None:
    """Let tickets (id -> incident) belong to the incidents that they are about, unless they belong to one."""
    for number in sorted(set(joined.values())):
        ids = [ticket for ticket, its in joined.items() if its == number]
        mine = update(table(Ticket)).where(_t.id.in_(ids), _t.incident_id.is_(None))
        session.execute(mine.values(incident_id=number))
        session.execute(update(table(Incident)).where(_i.id == number).values(last_ticket_at=now()))


def quiet(session: Session, number: int) -> list[int]:
    """Return the incident's tickets of which only their requesters were told; they are to be told of again."""
    told = exists().where(_n.ticket_id == _t.id, _n.role != "requester")
    mine = (_t.incident_id == number, _t.notified_at.is_not(None), ~told)
    return list(session.scalars(update(table(Ticket)).where(*mine).values(version=_t.version + 1).returning(_t.id)))


def decide(session: Session, number: int, state: str) -> Any:
    """Make a proposed incident accepted or dismissed, and return its row. Raises NotDecidable."""
    if not 0 < number < 2**63:
        raise NotDecidable(_unknown(number))
    chosen = update(table(Incident)).where(_i.id == number, _i.state == "proposed").values(state=state)
    decided = session.execute(chosen.returning(*_i)).first()
    if decided is None:
        known = session.scalar(select(_i.state).where(_i.id == number))
        raise NotDecidable(f"incident {number} is {known} already" if known else _unknown(number))
    return decided


def free(session: Session, number: int) -> None:
    """Let the incident's tickets belong to none."""
    session.execute(update(table(Ticket)).where(_t.incident_id == number).values(incident_id=None))


def _unknown(number: int) -> str:
    return f"there is no incident {number}; `aura incidents list` shows those there are"


def children(session: Session, number: int) -> list[Any]:
    """Return id, title, language and priority of the incident's tickets."""
    mine = select(_t.id, _t.title, _t.language, _t.priority).where(_t.incident_id == number).order_by(_t.id)
    return list(session.execute(mine))


def adopt(session: Session, number: int, parent: int, category: str, priority: str) -> None:
    """Let the ticket stand for all of the incident's; the person who accepted it has set category and priority."""
    session.execute(update(table(Incident)).where(_i.id == number).values(parent_id=parent))
    decided = {"category": category, "category_by": "human", "priority": priority, "priority_by": "human"}
    session.execute(update(table(Ticket)).where(_t.id == parent).values(decided))


def listing(session: Session, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest incidents with the number of their tickets."""
    of_it: ColumnElement[bool] = _t.incident_id == _i.id
    counted = select(func.count()).select_from(table(Ticket)).where(of_it).correlate(table(Incident)).scalar_subquery()
    newest = select(*_i, counted.label("tickets")).order_by(_i.id.desc()).limit(limit)
    if state is not None:
        newest = newest.where(_i.state == state)
    return [dict(row) for row in session.execute(newest).mappings()]
