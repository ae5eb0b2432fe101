"""Who works: the processes, their versions of themselves, what each runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from db import overview, reading
from settings import get_settings
from web.access import Reader

router = APIRouter(tags=["workers"])


@router.get("/workers", summary="Workers and relays")
def list_(_who: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return every process with a heartbeat, whether it lives, and how many jobs it runs."""
    with reading() as session:
        return {"workers": overview.processes(session, get_settings().worker_dead_after)}
