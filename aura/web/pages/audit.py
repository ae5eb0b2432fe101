"""Page /audit: who did what to which object."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from aura.web.auth.requirements import REQUIRES_ADMIN
from aura.web.render import page
from db import audit
from db.database import reporting

router = APIRouter()

#: Entries of one page.
PAGE = 100


@router.get("/audit", response_class=HTMLResponse, dependencies=[REQUIRES_ADMIN])
def show_audit(request: Request, before: int | None = None) -> HTMLResponse:
    with reporting() as session:
        rows = audit.listing(session, before=before, limit=PAGE)
    return page(request, "audit.html", rows=rows, older=rows[-1]["id"] if len(rows) == PAGE else None)
