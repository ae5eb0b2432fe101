"""Imported tickets: created with the dates, the status and the category of another system."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import outbox
from db.models import Agent, Ticket
from db.statements import BulkInsert, table
from db.tickets import RESOLVED
from db.time import now

#: Source of imported tickets; `import:NAME` for those of a named system, so that no other source has the same one.
SOURCE = "import"

_c = table(Ticket).c
COLUMNS = (
    *(
        "source",
        "external_id",
        "raw",
        "title",
        "description",
        "requester",
        "department",
        "language",
        "claimed_priority",
    ),
    *("category", "category_by", "priority", "priority_by", "status", "assignee", "resolution", "stage", "silent"),
    *("notified_version", "created_at", "changed_at", "resolved_at", "notified_at", "imported_at", "paused_since"),
    "paused_seconds",
    # the display name of the requester, in a schema that has it
    "requester_name",
)


def _finish(insert: Any) -> Any:
    new = insert.on_conflict_do_nothing(index_elements=["source", "external_id"])
    return new.returning(_c.id, _c.external_id)


_INSERT = BulkInsert(Ticket, COLUMNS, finish=_finish)


class ExistingTicket(NamedTuple):
    """A ticket that has the identity of a row, and its original row as JSON."""

    id: int
    external_id: str
    raw: str


def source_of(system: str) -> str:
    """Return the source of the tickets of a system; "" is an unnamed one."""
    return f"{SOURCE}:{system}" if system else SOURCE


def is_imported(source: str) -> bool:
    """Return whether tickets of this source came from a file."""
    return source == SOURCE or source.startswith(f"{SOURCE}:")


def clock(session: Session) -> datetime:
    """Return the time of the database."""
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment


def create(session: Session, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Create tickets from rows with COLUMNS, and return the ids of the new ones by external id.

    A row whose (source, external_id) exists adds none. The events of finished tickets are left out.
    """
    new = {row.external_id: row.id for row in _INSERT(session, rows)}
    received = [row for row in rows if row["external_id"] in new and row["status"] not in RESOLVED]
    outbox.record(
        session, [("ticket.received", new[row["external_id"]], {"source": row["source"]}) for row in received]
    )
    return new


def existing(session: Session, source: str, external_ids: Sequence[str]) -> dict[str, ExistingTicket]:
    """Return the tickets of a source that have one of these external ids."""
    statement = select(_c.id, _c.external_id, _c.raw).where(_c.source == source, _c.external_id.in_(external_ids))
    return {row.external_id: ExistingTicket(*row) for row in session.execute(statement)}


def agents(session: Session) -> dict[str, str]:
    """Return the names of all agents by name and by e-mail address, in lower case."""
    names: dict[str, str] = {}
    for name, email in session.execute(select(Agent.name, Agent.email).order_by(Agent.id.desc())):
        names |= {each.lower(): name for each in (email, name) if each}
    return names


def raw_json(row: dict[str, Any]) -> str:
    """Return a row of a file as it is stored."""
    return json.dumps(row, ensure_ascii=True, default=str)
