"""Resource audit log: who did what to which object."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from aura.web.api.fields import Filter, Limit
from aura.web.auth.requirements import Admin
from db import audit
from db.database import reporting
from db.ids import MAX_ID

router = APIRouter(tags=["audit log"])


class Entry(BaseModel):
    """An action: `who` did `action` to `subject`."""

    id: int
    at: datetime
    who: str
    action: str
    subject: str
    details: dict[str, Any]
    address: str


class Entries(BaseModel):
    """Entries of the audit log, the newest first."""

    audit: list[Entry]


@router.get("/audit", summary="List the audit log")
def list_audit(
    _who: Admin,
    subject: Filter = None,
    who: Filter = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID, description="Only entries with a lower id.")] = None,
    limit: Limit = 50,
) -> Entries:
    """Return who did what to which object, when, and from which address."""
    with reporting() as session:
        rows = audit.listing(session, subject=subject, who=who, before=before, limit=limit)
    return Entries(audit=[Entry.model_validate(row) for row in rows])
