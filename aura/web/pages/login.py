"""Pages /login and /logout."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from aura.web.auth.requirements import Reader
from aura.web.auth.sessions import Login, log_out
from aura.web.pages.forms import Fields, own_path
from aura.web.render import page

router = APIRouter()


@router.get("/login", response_class=HTMLResponse)
def show_login(request: Request, to: Annotated[str, Query(max_length=600)] = "/") -> HTMLResponse:
    return page(request, "login.html", to=own_path(to, "/"), error="", name="")


@router.post("/login", response_model=None)
async def log_in(request: Request, fields: Fields) -> Response:
    login: Login = request.app.state.login
    to, name = own_path(fields.get("to", "/"), "/"), fields.get("name", "")[:80]
    answer = RedirectResponse(to, status_code=303)
    try:
        await login.log_in(request, answer, name, fields.get("password", "")[:200])
    except HTTPException as error:  # wrong name or password: the form again, with the name
        return page(request, "login.html", error.status_code, to=to, error=str(error.detail), name=name)
    return answer


@router.post("/logout", response_model=None)
def log_out_(request: Request, who: Reader) -> RedirectResponse:
    answer = RedirectResponse("/login", status_code=303)
    log_out(request, answer, who)
    return answer
