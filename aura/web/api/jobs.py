"""Jobs: what is promised and not kept yet; cancel what should not be done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter

from aura.web.api.fields import Because, Most, Number, Word
from aura.web.auth.identity import Operator, Reader
from db import audit, queue_controls, reading

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.get("", summary="Promised jobs")
def list_(
    _who: Reader,
    actor: Word = None,
    state: Literal["due", "hinted", "running", "later"] | None = None,
    limit: Most = 50,
) -> dict[str, list[dict[str, Any]]]:
    """Return promised jobs, the oldest first."""
    with reading() as session:
        return {"jobs": queue_controls.list_jobs(session, actor=actor, state=state, limit=limit)}


@router.post("/{number}/cancel", summary="Cancel a job")
def cancel(number: Number, said: Because, who: Operator) -> dict[str, Any]:
    """Take a promise back, running or not; a dead letter remembers it, as discarded."""
    with audit.acting(who, "job.cancel", f"job/{number}", reason=said.reason) as session:
        return asdict(queue_controls.cancel(session, number, said.reason))
