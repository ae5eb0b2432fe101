"""Tickets: accepting what somebody reported, and recording what each step found out about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db import outbox
from db.models import AiCall, DeadLetter, Job, Ticket, VerdictRecord
from db.new_tickets import NewTicket
from db.statements import BulkInsert, BulkUpdate, Prepared, in_list, on_postgresql, table, unnest
from db.time import UtcDateTime, from_now, now

#: What intake finds out about a ticket, besides its original.
PREPARED = ("title", "description", "requester", "department", "language")
#: What an engine says about a ticket.
VERDICT = (
    "ticket_id",
    "category",
    "confidence",
    "priority",
    "priority_confidence",
    "reason",
    "needs_review",
    "engine",
    "model",
    "prompt_version",
    "fallback",
    "disagreement",
    "change",
    "summary",
    "sentiment",
    "language",
    "self_fix",
    "words",
    "suggested_agent",
    "similar",
    "resolution_p50",
    "resolution_p90",
    "input_tokens",
    "output_tokens",
    "cost",
    "cached",
    "latency_ms",
)
#: One request to a remote engine, as it is logged.
CALL = (
    *("ticket_id", "model", "prompt_version", "sent", "masked", "outcome"),
    *("input_tokens", "output_tokens", "cost", "latency_ms"),
)


def _accepting(*returned: str) -> BulkInsert:
    def finish(insert: Any) -> Any:
        new = insert.on_conflict_do_nothing(index_elements=["source", "external_id"])
        return new.returning(*(table(Ticket).c[name] for name in returned))

    columns = ("source", "external_id", "raw", "title", "description", "requester", "department", "claimed_priority")
    return BulkInsert(Ticket, columns, finish=finish)


_ACCEPT, _ACCEPT_EACH = _accepting("id"), _accepting("id", "external_id", "raw")


def create(session: Session, source: str, submissions: Iterable[tuple[NewTicket, Any]]) -> list[int]:
    """Store new tickets and return their ids; one whose (source, external_id) is known adds none.

    Each submission comes with its original, which is kept as ASCII JSON whatever bytes it holds.
    """
    rows = _submitted(source, submissions)
    if not rows:
        return []
    ids = sorted(_ACCEPT(session, rows).scalars())
    outbox.record(session, [("ticket.received", ticket_id, {"source": source}) for ticket_id in ids])
    return ids


def create_each(session: Session, source: str, submissions: Iterable[tuple[NewTicket, Any]]) -> list[tuple[int, bool]]:
    """Store tickets and return for each, in order, its id and whether it is new; a known one has the id of the first."""
    rows = _submitted(source, submissions)
    if not rows:
        return []
    # which id is whose must not depend on the order in which a database returns rows
    new: dict[tuple[str | None, str], list[int]] = {}
    for row in _ACCEPT_EACH(session, rows):
        new.setdefault((row.external_id, row.raw), []).append(row.id)
    found = [(ids.pop(), True) if (ids := new.get((row["external_id"], row["raw"]))) else None for row in rows]
    outbox.record(session, [("ticket.received", each[0], {"source": source}) for each in found if each])
    missing = [row["external_id"] for row, each in zip(rows, found, strict=True) if each is None]
    known = {}
    if missing:
        wanted = select(_c.external_id, _c.id).where(_c.source == source, _c.external_id.in_(missing))
        known = {row.external_id: row.id for row in session.execute(wanted)}
    return [each or (known[row["external_id"]], False) for row, each in zip(rows, found, strict=True)]


def _submitted(source: str, submissions: Iterable[tuple[NewTicket, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "external_id": each.external_id,
            "raw": json.dumps(original, ensure_ascii=True, default=str),
            "title": each.title,
            "description": each.description,
            "requester": each.requester,
            "department": each.department,
            "claimed_priority": each.priority,
        }
        for each, original in submissions
    ]


def find(session: Session, source: str, external_id: str | None) -> int | None:
    """Return the id of the ticket with this identity, if there is one."""
    return session.scalar(select(Ticket.id).where(Ticket.source == source, Ticket.external_id == external_id))


class UnknownTicket(NotFound):
    """There is no ticket with this number."""


def check(session: Session, ticket_id: int) -> None:
    """Raise UnknownTicket unless there is such a ticket."""
    there = select(_c.id).where(_c.id == ticket_id)
    if not (0 < ticket_id < 2**63 and session.scalar(there)):
        raise UnknownTicket(f"there is no ticket {ticket_id}; `aura tickets list` shows those there are")


class Loaded(NamedTuple):
    """What the steps need of a ticket; a fraction of the cost of an object that can be saved again."""

    id: int
    title: str
    description: str
    requester: str
    department: str
    language: str
    claimed_priority: str | None
    category: str | None
    priority: str | None
    assignee: str | None
    duplicate_of: int | None
    version: int
    notified_version: int
    source: str
    incident_id: int | None
    needs_review: bool
    status: str
    created_at: datetime
    paused_seconds: float
    due_at: datetime | None


_c = table(Ticket).c
_LOADED = select(*[_c[name] for name in Loaded._fields])
_LOAD = Prepared(lambda session: _LOADED.where(in_list(session, _c.id, "ids")))


def load(session: Session, keys: Sequence[str]) -> dict[str, Loaded]:
    """Return the tickets by their ids as text; unknown ids are left out."""
    ids = [int(key) for key in keys if key.isdecimal() and len(key) < 19]
    return {str(row[0]): Loaded._make(row) for row in _LOAD(session, ids=ids)}


def recent_open(session: Session, requesters: Iterable[str], days: float, each: int = 50) -> Sequence[Loaded]:
    """Return the newest open tickets of each requester in the last days, newest first, to look for duplicates in."""
    names = sorted(set(requesters) - {""})
    if not names:
        return []
    if on_postgresql(session):
        found = _RECENT_EACH(session, requesters=names, seconds=-days * 86400, most=each)
    else:
        found = _RECENT(session, requesters=names, seconds=-days * 86400, most=1000)
    return sorted(map(Loaded._make, found), key=lambda ticket: -ticket.id)


def _recent(of_them: ColumnElement[bool]) -> Select[Any]:
    since = from_now(bindparam("seconds", type_=Float))
    recent = _LOADED.where(of_them, _c.status.in_(UNDONE), _c.created_at >= since)
    return recent.order_by(_c.created_at.desc(), _c.id.desc()).limit(bindparam("most"))


def _recent_each(session: Session) -> Select[Any]:
    # a few of each requester by the index, even when one of them is a machine with a thousand open tickets
    asked = unnest(session, "requesters")
    recent = _recent(_c.requester == asked.c.value).correlate(asked).lateral("recent")
    return select(recent).select_from(asked.join(recent, true()))


_RECENT_EACH = Prepared(_recent_each)
_RECENT = Prepared(lambda session: _recent(in_list(session, _c.requester, "requesters")))


_SAVE_PREPARED = BulkUpdate(
    Ticket,
    {"id": BigInteger(), **{name: Text() for name in PREPARED}, "duplicate_of": BigInteger(), "priority": Text()},
    lambda new: {
        **{name: new[name] for name in (*PREPARED, "duplicate_of")},
        # by the rules, until an engine has read it
        "priority": func.coalesce(_c.priority, new["priority"]),
        "priority_by": func.coalesce(_c.priority_by, "rule"),
        "stage": case((_c.stage == "received", "prepared"), else_=_c.stage),
    },
)
#: Statuses in which the time of a ticket's target runs.
RUNNING = ("open", "in_progress")
#: Statuses of a ticket that somebody has to do with still.
UNDONE = (*RUNNING, "pending")
#: Statuses of a ticket that is over.
DONE = ("resolved", "closed")
# no IN: SQLAlchemy expands it for the first of many rows only
_RUNNING = and_(or_(*[_c.status == status for status in RUNNING]), _c.paused_since.is_(None))
_APPEND_VERDICTS = BulkInsert(VerdictRecord, VERDICT)
_APPEND_CALLS = BulkInsert(AiCall, CALL)


def _current(new: Mapping[str, Any]) -> dict[str, Any]:
    category = case((_c.category_by == "human", _c.category), else_=new["category"])
    priority = case((_c.priority_by == "human", _c.priority), else_=new["priority"])
    material = and_(_c.classified_at.is_not(None), or_(category != _c.category, priority != _c.priority))
    # a target begins with the first verdict and with each other priority, and is of this row as it was loaded
    target = and_(_RUNNING, or_(_c.due_at.is_(None), priority != _c.priority))
    loaded = and_(_c.priority_by.is_distinct_from("human"), _c.paused_seconds == new["paused_seconds"])
    return {
        "due_at": case((and_(target, loaded), new["due_at"]), else_=_c.due_at),
        # what has changed since then, the clock looks at
        "sla_next_at": case((and_(target, loaded), new["warn_at"]), (target, now()), else_=_c.sla_next_at),
        "sla_state": case((priority != _c.priority, ""), else_=_c.sla_state),
        "version": _c.version + case((material, 1), else_=0),
        "category": category,
        "priority": priority,
        "category_by": case((_c.category_by == "human", "human"), else_="engine"),
        "priority_by": case((_c.priority_by == "human", "human"), else_="engine"),
        "confidence": new["confidence"],
        "needs_review": new["needs_review"],
        "stage": case((_c.stage == "notified", _c.stage), else_="classified"),
        "classified_at": now(),
    }


_SAVE_VERDICTS = BulkUpdate(
    Ticket,
    {
        "id": BigInteger(),
        "category": Text(),
        "priority": Text(),
        "confidence": Float(),
        "needs_review": Boolean(),
        "due_at": UtcDateTime(),
        "warn_at": UtcDateTime(),
        "paused_seconds": Float(),
    },
    _current,
)
_SAVE_NOTIFIED = BulkUpdate(
    Ticket,
    {"id": BigInteger(), "version": Integer(), "assignee": Text()},
    lambda new: {
        "stage": "notified",
        "notified_at": now(),
        "notified_version": new["version"],
        "assignee": func.coalesce(_c.assignee, new["assignee"]),
    },
)


def save_prepared(session: Session, prepared: Sequence[Mapping[str, Any]]) -> None:
    """Record what intake found: `id`, title, description, requester, department, language, duplicate_of, priority."""
    _SAVE_PREPARED(session, prepared)


def save_verdicts(session: Session, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Append the verdicts (rows of `verdicts`) and make them current, except what a human set.

    With each goes the target of its priority, `due_at` and `warn_at`, for a ticket that had waited `paused_seconds`.
    A change of a category or priority that was current before raises the ticket's version: people are told again.
    """
    _APPEND_VERDICTS(session, verdicts)
    _SAVE_VERDICTS(session, [{**v, "id": v["ticket_id"]} for v in verdicts])
    said = ("category", "confidence", "priority", "reason", "engine", "model", "needs_review")
    outbox.record(
        session,
        [
            (
                f"ticket.classified.{outbox.routing_word(v['category'])}.{outbox.routing_word(v['priority'])}",
                v["ticket_id"],
                {key: v[key] for key in said},
            )
            for v in verdicts
        ],
    )


def save_calls(session: Session, calls: Sequence[Mapping[str, Any]]) -> None:
    """Log what left the house (rows of `ai_calls`)."""
    if calls:
        _APPEND_CALLS(session, calls)


def save_notified(session: Session, notified: Sequence[tuple[int, int, str | None]]) -> None:
    """Record that people were promised to be told: (ticket id, version, assignee or None)."""
    _SAVE_NOTIFIED(
        session, [{"id": ticket, "version": version, "assignee": agent} for ticket, version, agent in notified]
    )
    outbox.record(session, [("ticket.notified", ticket, {"version": version}) for ticket, version, _ in notified])


def stranded(session: Session, grace: float, limit: int) -> list[int]:
    """Return unfinished tickets older than `grace` seconds that no job promises and no dead letter explains."""
    key = cast(Ticket.id, String)
    lost = (
        select(Ticket.id)
        .where(
            Ticket.notified_at.is_(None),
            Ticket.status == "open",
            Ticket.created_at < from_now(-grace),
            ~exists().where(Job.key == key),
            ~exists().where(DeadLetter.key == key, DeadLetter.state != "replayed"),
        )
        .order_by(Ticket.created_at)
        .limit(limit)
    )
    return list(session.scalars(lost))


def listing(
    session: Session,
    *,
    status: str | None = None,
    stage: str | None = None,
    category: str | None = None,
    due: bool = False,
    limit: int = 50,
) -> Sequence[Ticket]:
    """Return the newest tickets, filtered by what is given; with `due` those whose target runs, the earliest first."""
    newest = select(Ticket).limit(limit)
    if due:
        newest = newest.where(_RUNNING, Ticket.due_at.is_not(None)).order_by(Ticket.due_at, Ticket.id)
    else:
        newest = newest.order_by(Ticket.id.desc())
    for column, value in ((Ticket.status, status), (Ticket.stage, stage), (Ticket.category, category)):
        if value is not None:
            newest = newest.where(column == value)
    return session.scalars(newest).all()


def reasons(session: Session, ids: list[int]) -> dict[int, str]:
    """Return the newest verdict's reason of each ticket."""
    return {row.ticket_id: row.reason for row in _REASONS(session, ids=ids)}


def _reasons(session: Session) -> Select[Any]:
    said = table(VerdictRecord).c
    newest = select(func.max(said.id)).where(in_list(session, said.ticket_id, "ids")).group_by(said.ticket_id)
    return select(said.ticket_id, said.reason).where(said.id.in_(newest))


_REASONS = Prepared(_reasons)


def stages(session: Session) -> dict[str, int]:
    """Return how many tickets are at each stage."""
    counts = session.execute(select(Ticket.stage, func.count().label("tickets")).group_by(Ticket.stage))
    return {row.stage: row.tickets for row in counts}
