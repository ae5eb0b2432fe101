"""Texts of recent tickets, from which footers are learned."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Ticket
from db.statements import table

_c = table(Ticket).c


def recent_descriptions(session: Session, limit: int) -> list[tuple[str, str]]:
    """Return requester and description of the newest tickets."""
    rows = session.execute(select(_c.requester, _c.description).order_by(_c.id.desc()).limit(limit))
    return [(row.requester, row.description) for row in rows]
