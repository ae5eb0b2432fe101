"""Tickets: creates them, loads them for the steps of the pipeline, and records the result of each step."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from db.clients import scoped
from db.ids import is_id, parse_ids
from db.models import AiCall, DeadLetter, Job, Ticket, VerdictRecord
from db.new_tickets import NewTicket
from db.statements import BulkInsert, BulkUpdate, NewRow, Prepared, Unless, in_list, on_postgresql, table, unnest
from db.time import UtcDateTime, from_now, now

#: Columns that the step intake sets.
PREPARED_COLUMNS = ("title", "description", "requester", "department", "language")
#: Columns of a verdict.
VERDICT_COLUMNS = (
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
#: Columns of a call to a remote engine.
AI_CALL_COLUMNS = (
    *("ticket_id", "model", "prompt_version", "sent", "masked", "outcome"),
    *("input_tokens", "output_tokens", "cost", "latency_ms"),
)


class MailOrigin(NamedTuple):
    """What the mail of a ticket says about its requester; see the columns of `Ticket`."""

    requester_name: str = ""
    forwarded_by: str = ""
    no_auto_reply: str = ""
    sender_verified: bool | None = None


_NO_ORIGIN = MailOrigin()._asdict()


def _insert_returning(*returned: str, unless: Unless | None = None) -> BulkInsert:
    def finish(insert: Any) -> Any:
        new = insert.on_conflict_do_nothing(index_elements=["source", "external_id"])
        return new.returning(*(table(Ticket).c[name] for name in returned))

    columns = ("source", "external_id", "raw", "title", "description", "requester", "department", "claimed_priority")
    inputs = {"legacy": Text()} if unless is not None else None
    return BulkInsert(Ticket, (*columns, *MailOrigin._fields), inputs=inputs, finish=finish, unless=unless)


def _is_legacy(new: NewRow) -> ColumnElement[bool]:
    """Return whether an earlier version, which knew no clients, stored the same request under the bare id."""
    earlier = table(Ticket).alias("earlier")
    same = select(earlier.c.id).where(
        earlier.c.source == new["source"], earlier.c.external_id == new["legacy"], earlier.c.raw == new["raw"]
    )
    # a scalar subquery is an index scan for each row; EXISTS may become a scan of the whole table
    return same.limit(1).scalar_subquery().is_not(None)


_INSERT = _insert_returning("id")
_INSERT_EACH = _insert_returning("id", "external_id", "raw", unless=_is_legacy)


class Created(NamedTuple):
    """The ticket of a request: a new one, or the one that the client's external id names already."""

    id: int
    is_new: bool
    #: Names of the fields in which the request differs from the one of the existing ticket.
    differs: tuple[str, ...] = ()


def create(session: Session, source: str, submissions: Iterable[tuple[NewTicket, Any]]) -> list[int]:
    """Create tickets and return the ids of the new ones; an existing (source, external_id) adds none.

    Each ticket comes with its original request, which is stored as ASCII JSON.
    """
    rows = _rows(source, submissions)
    if not rows:
        return []
    ids = sorted(_INSERT(session, rows).scalars())
    outbox.record(session, [("ticket.received", ticket_id, {"source": source}) for ticket_id in ids])
    return ids


def create_each(
    session: Session,
    source: str,
    submissions: Iterable[tuple[NewTicket, Any]],
    origins: Sequence[MailOrigin] = (),
) -> list[tuple[int, bool]]:
    """Create tickets and return for each, in order, its id and whether it is new; see `create`.

    `origins`, one for each ticket, are for tickets that are mails.
    """
    rows = _rows(source, submissions)
    for values, origin in zip(rows, origins, strict=False):
        values |= {name: value for name, value in origin._asdict().items() if value not in ("", None)}
    return [(each.id, each.is_new) for each in _create_each(session, source, rows)]


def create_once(
    session: Session, source: str, submissions: Iterable[tuple[NewTicket, Any]], clients: Sequence[str]
) -> list[Created]:
    """Create tickets of clients, one for each, and return for each, in order, its ticket.

    An external id counts for its client only. The caller refuses those that differ from the existing ticket.
    """
    rows = _rows(source, submissions)
    for values, client in zip(rows, clients, strict=True):
        bare = values["external_id"]
        values["external_id"] = scoped(client, bare)
        values["legacy"] = bare if values["external_id"] != bare else None
    return _create_each(session, source, rows)


def _create_each(session: Session, source: str, rows: list[dict[str, Any]]) -> list[Created]:
    if not rows:
        return []
    known = {} if on_postgresql(session) else _existing(session, source, rows, legacy_only=True)
    fresh = [row for row in rows if _identity(row) not in known]
    # RETURNING has no defined order
    new: dict[tuple[str | None, str], list[int]] = {}
    for row in _INSERT_EACH(session, fresh) if fresh else ():
        new.setdefault((row.external_id, row.raw), []).append(row.id)
    created = [Created(ids.pop(), True) if (ids := new.get(_identity(row))) else None for row in rows]
    outbox.record(session, [("ticket.received", each.id, {"source": source}) for each in created if each])
    repeated = [row for row, each in zip(rows, created, strict=True) if each is None and _identity(row) not in known]
    known |= _existing(session, source, repeated)
    return [each or known[_identity(row)] for row, each in zip(rows, created, strict=True)]


def _identity(row: Mapping[str, Any]) -> tuple[str | None, str]:
    return row["external_id"], row["raw"]


def _existing(
    session: Session, source: str, rows: Sequence[Mapping[str, Any]], *, legacy_only: bool = False
) -> dict[tuple[str | None, str], Created]:
    """Return the existing ticket of each row: of its client, or of an earlier version with the same request."""
    ids = {row["legacy"] for row in rows} | (set() if legacy_only else {row["external_id"] for row in rows})
    if not (ids := ids - {None}):
        return {}
    stored = select(_c.external_id, _c.id, _c.raw).where(_c.source == source, _c.external_id.in_(ids))
    found = {each.external_id: (each.id, each.raw) for each in session.execute(stored)}
    existing: dict[tuple[str | None, str], Created] = {}
    for row in rows:
        own = None if legacy_only else found.get(row["external_id"])
        legacy = found.get(row["legacy"])
        if own is not None:
            existing[_identity(row)] = Created(own[0], False, differences(own[1], row["raw"]))
        elif legacy is not None and legacy[1] == row["raw"]:
            existing[_identity(row)] = Created(legacy[0], False)
    return existing


def differences(stored: str, sent: str) -> tuple[str, ...]:
    """Return the names of the fields in which two original requests differ, in their order."""
    if stored == sent:
        return ()
    first, second = json.loads(stored), json.loads(sent)
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return () if first == second else ("body",)
    missing = object()
    return tuple(name for name in {**second, **first} if first.get(name, missing) != second.get(name, missing))


def originals(session: Session, ids: Iterable[int]) -> dict[int, str]:
    """Return the original requests of tickets, as JSON."""
    return {row.id: row.raw for row in session.execute(select(_c.id, _c.raw).where(_c.id.in_(list(ids))))}


def _rows(source: str, submissions: Iterable[tuple[NewTicket, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "external_id": each.external_id,
            "legacy": None,
            "raw": json.dumps(original, ensure_ascii=True, default=str),
            "title": each.title,
            "description": each.description,
            "requester": each.requester,
            "department": each.department,
            "claimed_priority": each.priority,
            **_NO_ORIGIN,
            "requester_name": each.requester_name,
        }
        for each, original in submissions
    ]


def find(session: Session, source: str, external_id: str | None, client: str = "") -> int | None:
    """Return the id of the ticket with this source and external id of the client, or None."""
    wanted = scoped(client, external_id)
    return session.scalar(select(Ticket.id).where(Ticket.source == source, Ticket.external_id == wanted))


class UnknownTicket(NotFound):
    """No ticket has this id."""

    def __init__(self, ticket_id: int) -> None:
        super().__init__(f"no ticket {ticket_id}")


def ensure_exists(session: Session, ticket_id: int) -> None:
    """Raise UnknownTicket unless the ticket exists."""
    if not (is_id(ticket_id) and session.scalar(select(_c.id).where(_c.id == ticket_id))):
        raise UnknownTicket(ticket_id)


class TicketRow(NamedTuple):
    """The columns of a ticket that the steps read; much cheaper to load than an ORM object."""

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
    no_auto_reply: str
    silent: bool
    sender_verified: bool | None


_c = table(Ticket).c
_SELECT = select(*[_c[name] for name in TicketRow._fields])
_LOAD = Prepared(lambda session: _SELECT.where(in_list(session, _c.id, "ids")))


def load(session: Session, keys: Sequence[str]) -> dict[str, TicketRow]:
    """Return the tickets by their ids as text; unknown ids are left out."""
    return {str(row[0]): TicketRow._make(row) for row in _LOAD(session, ids=parse_ids(keys))}


def recent_open(session: Session, requesters: Iterable[str], days: float, each: int = 50) -> Sequence[TicketRow]:
    """Return the newest unresolved tickets of each requester in the last days, newest first."""
    names = sorted(set(requesters) - {""})
    if not names:
        return []
    if on_postgresql(session):
        rows = _RECENT_EACH(session, requesters=names, seconds=-days * 86400, limit=each)
    else:
        rows = _RECENT(session, requesters=names, seconds=-days * 86400, limit=1000)
    return sorted(map(TicketRow._make, rows), key=lambda ticket: -ticket.id)


def _recent(by_requester: ColumnElement[bool]) -> Select[Any]:
    since = from_now(bindparam("seconds", type_=Float))
    recent = _SELECT.where(by_requester, _c.status.in_(UNRESOLVED), _c.created_at >= since)
    return recent.order_by(_c.created_at.desc(), _c.id.desc()).limit(bindparam("limit"))


def _recent_each(session: Session) -> Select[Any]:
    # a bounded index scan for each requester: one may be a monitoring system with a thousand open tickets
    requesters = unnest(session, "requesters")
    recent = _recent(_c.requester == requesters.c.value).correlate(requesters).lateral("recent")
    return select(recent).select_from(requesters.join(recent, true()))


_RECENT_EACH = Prepared(_recent_each)
_RECENT = Prepared(lambda session: _recent(in_list(session, _c.requester, "requesters")))


_SAVE_PREPARED = BulkUpdate(
    Ticket,
    {
        "id": BigInteger(),
        **{name: Text() for name in PREPARED_COLUMNS},
        "duplicate_of": BigInteger(),
        "priority": Text(),
    },
    lambda new: {
        **{name: new[name] for name in (*PREPARED_COLUMNS, "duplicate_of")},
        # the priority of the rules, until the first verdict
        "priority": func.coalesce(_c.priority, new["priority"]),
        "priority_by": func.coalesce(_c.priority_by, "rule"),
        "stage": case((_c.stage == "received", "prepared"), else_=_c.stage),
    },
)
#: The steps of triage that a ticket has passed, in their order.
STAGES = ("received", "prepared", "classified", "notified")
#: Statuses in which the SLA clock runs.
SLA_RUNNING = ("open", "in_progress")
#: Statuses of a ticket that needs work.
UNRESOLVED = (*SLA_RUNNING, "pending")
#: Statuses of a ticket that needs no work.
RESOLVED = ("resolved", "closed")
# not IN: for executemany, SQLAlchemy expands its list for the first row only
_SLA_RUNS = and_(or_(*[_c.status == status for status in SLA_RUNNING]), _c.paused_since.is_(None))
_APPEND_VERDICTS = BulkInsert(VerdictRecord, VERDICT_COLUMNS)
_APPEND_CALLS = BulkInsert(AiCall, AI_CALL_COLUMNS)


def _current(new: Mapping[str, Any]) -> dict[str, Any]:
    category = case((_c.category_by == "human", _c.category), else_=new["category"])
    priority = case((_c.priority_by == "human", _c.priority), else_=new["priority"])
    material = and_(_c.classified_at.is_not(None), or_(category != _c.category, priority != _c.priority))
    # the target changes with the first verdict and with the priority; it was computed for the row as it was loaded
    target = and_(_SLA_RUNS, or_(_c.due_at.is_(None), priority != _c.priority))
    loaded = and_(_c.priority_by.is_distinct_from("human"), _c.paused_seconds == new["paused_seconds"])
    return {
        "due_at": case((and_(target, loaded), new["due_at"]), else_=_c.due_at),
        # a row that changed since is recomputed by the next SLA check
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
    """Record the results of intake: `id`, PREPARED_COLUMNS, `duplicate_of` and `priority` of each ticket."""
    _SAVE_PREPARED(session, prepared)


def save_verdicts(session: Session, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Append verdicts and make them current, except for values that a person set.

    Each row has VERDICT_COLUMNS and the resolution target of its priority: `due_at` and `warn_at`, computed for
    `paused_seconds`. A changed category or priority raises the ticket's version, which is notified again.
    """
    _APPEND_VERDICTS(session, verdicts)
    _SAVE_VERDICTS(session, [{**v, "id": v["ticket_id"]} for v in verdicts])
    fields = ("category", "confidence", "priority", "reason", "engine", "model", "needs_review")
    outbox.record(
        session,
        [
            (
                f"ticket.classified.{outbox.routing_word(v['category'])}.{outbox.routing_word(v['priority'])}",
                v["ticket_id"],
                {key: v[key] for key in fields},
            )
            for v in verdicts
        ],
    )


def save_ai_calls(session: Session, calls: Sequence[Mapping[str, Any]]) -> None:
    """Append calls to remote engines; each row has AI_CALL_COLUMNS."""
    if calls:
        _APPEND_CALLS(session, calls)


def save_notified(session: Session, notified: Sequence[tuple[int, int, str | None]]) -> None:
    """Record that notifications were created: (ticket id, version, assignee or None) of each ticket."""
    _SAVE_NOTIFIED(
        session, [{"id": ticket, "version": version, "assignee": agent} for ticket, version, agent in notified]
    )
    outbox.record(session, [("ticket.notified", ticket, {"version": version}) for ticket, version, _ in notified])


def without_job(session: Session, grace: float, limit: int) -> list[int]:
    """Return open tickets older than `grace` seconds whose run is unfinished and has neither a job nor a dead letter."""
    key = cast(Ticket.id, String)
    tickets = (
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
    return list(session.scalars(tickets))


def listing(
    session: Session,
    *,
    status: str | None = None,
    stage: str | None = None,
    category: str | None = None,
    due: bool = False,
    limit: int = 50,
) -> Sequence[Ticket]:
    """Return the newest tickets that match the filters; with `due` those with a running target, earliest first."""
    newest = select(Ticket).limit(limit)
    if due:
        newest = newest.where(_SLA_RUNS, Ticket.due_at.is_not(None)).order_by(Ticket.due_at, Ticket.id)
    else:
        newest = newest.order_by(Ticket.id.desc())
    for column, value in ((Ticket.status, status), (Ticket.stage, stage), (Ticket.category, category)):
        if value is not None:
            newest = newest.where(column == value)
    return session.scalars(newest).all()


def reasons(session: Session, ids: list[int]) -> dict[int, str]:
    """Return the reason of the newest verdict of each ticket."""
    return {row.ticket_id: row.reason for row in _REASONS(session, ids=ids)}


def latest_verdicts(session: Session, ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return category and priority of the newest verdict of each ticket."""
    v = table(VerdictRecord).c
    newest = select(func.max(v.id)).where(v.ticket_id.in_(ids)).group_by(v.ticket_id)
    rows = session.execute(select(v.ticket_id, v.category, v.priority).where(v.id.in_(newest)))
    return {row.ticket_id: (row.category, row.priority) for row in rows}


def _reasons(session: Session) -> Select[Any]:
    v = table(VerdictRecord).c
    newest = select(func.max(v.id)).where(in_list(session, v.ticket_id, "ids")).group_by(v.ticket_id)
    return select(v.ticket_id, v.reason).where(v.id.in_(newest))


_REASONS = Prepared(_reasons)


def count_by_stage(session: Session) -> dict[str, int]:
    """Return the number of tickets at each stage."""
    counts = session.execute(select(Ticket.stage, func.count().label("tickets")).group_by(Ticket.stage))
    return {row.stage: row.tickets for row in counts}
