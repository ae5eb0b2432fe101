"""Who did what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from aura.web.api.fields import Most, Word
from aura.web.auth.identity import Admin
from db import audit, reading
from db.ids import MAX_ID

router = APIRouter(tags=["audit"])


@router.get("/audit", summary="Who did what, the newest first")
def list_(
    _who: Admin,
    subject: Word = None,
    who: Word = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID, description="Only rows older than this one.")] = None,
    limit: Most = 50,
) -> dict[str, list[dict[str, Any]]]:
    """Return who did what, on what, when and from where."""
    with reading() as session:
        return {"audit": audit.listing(session, subject=subject, who=who, before=before, limit=limit)}
