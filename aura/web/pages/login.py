"""The entrance: logging in and out by a form, and the audit of who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from aura.web.auth.identity import MAY_ADMIN, Reader
from aura.web.auth.sessions import Login, log_out
from aura.web.pages.forms import form, ours
from aura.web.pages.render import page
from db import audit, reading

router = APIRouter(include_in_schema=False)

Fields = Annotated[dict[str, str], Depends(form)]


@router.get("/login", response_class=HTMLResponse)
def ask(request: Request, to: Annotated[str, Query(max_length=600)] = "/") -> HTMLResponse:
    return page(request, "login.html", to=ours(to, "/"), wrong="", name="")


@router.post("/login", response_model=None)
async def log_in(request: Request, fields: Fields) -> Response:
    door: Login = request.app.state.door
    to, name = ours(fields.get("to", "/"), "/"), fields.get("name", "")[:80]
    answer = RedirectResponse(to, status_code=303)
    try:
        await door.log_in(request, answer, name, fields.get("password", "")[:200])
    except HTTPException as error:
        return page(request, "login.html", error.status_code, to=to, wrong=str(error.detail), name=name)
    return answer


@router.post("/logout", response_model=None)
def leave(request: Request, who: Reader) -> RedirectResponse:
    answer = RedirectResponse("/login", status_code=303)
    log_out(request, answer, who)
    return answer


@router.get("/audit", response_class=HTMLResponse, dependencies=[MAY_ADMIN])
def actions(request: Request, before: int | None = None) -> HTMLResponse:
    with reading() as session:
        rows = audit.listing(session, before=before, limit=100)
    return page(request, "audit.html", rows=rows, older=rows[-1]["id"] if len(rows) == 100 else None)
