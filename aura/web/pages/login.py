"""Pages /login, /login/code and /logout."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from aura.web.auth.login import CodeRequired, Login, WrongCredentials, log_in_by_link
from aura.web.auth.requirements import Person
from aura.web.auth.sessions import log_out
from aura.web.pages.forms import Fields, own_path
from aura.web.render import page

router = APIRouter()


@router.get("/login", response_class=HTMLResponse)
async def show_login(
    request: Request,
    to: Annotated[str, Query(max_length=600)] = "/",
    token: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show the form, or use a login link. What only looks ahead (HEAD, prefetching) does not use it."""
    if not token or _looks_ahead(request):
        return page(request, "login.html", to=own_path(to, "/"), error="", name="")
    answer = RedirectResponse("/", status_code=303)
    try:
        await run_in_threadpool(log_in_by_link, request, answer, token)
    except WrongCredentials as error:
        return page(request, "login.html", error.status_code, to="/", error=str(error.detail), name="")
    return answer


def _looks_ahead(request: Request) -> bool:
    """Return whether nobody opened the address: a HEAD request, or a browser that loads a page before or as a preview."""
    purposes = " ".join(request.headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return bool(request.scope.get("head")) or any(
        each in purposes.lower() for each in ("prefetch", "preview", "prerender")
    )


@router.post("/login", response_model=None)
async def log_in(request: Request, fields: Fields) -> Response:
    login: Login = request.app.state.login
    to, name = own_path(fields.get("to", "/"), "/"), fields.get("name", "")[:80]
    answer = RedirectResponse(to, status_code=303)
    try:
        await login.log_in(request, answer, name, fields.get("password", "")[:200])
    except CodeRequired as error:
        return page(request, "login_code.html", to=to, name=name, pending=error.pending, error="")
    except WrongCredentials as error:  # the form again, with the name
        return page(request, "login.html", error.status_code, to=to, error=str(error.detail), name=name)
    return answer


@router.post("/login/code", response_model=None)
async def send_code(request: Request, fields: Fields) -> Response:
    login: Login = request.app.state.login
    to, name, pending = own_path(fields.get("to", "/"), "/"), fields.get("name", "")[:80], fields.get("pending", "")
    answer = RedirectResponse(to, status_code=303)
    try:
        await login.finish(request, answer, name, pending, fields.get("code", ""))
    except WrongCredentials as error:
        values = {"to": to, "name": name, "pending": pending[:100], "error": str(error.detail)}
        return page(request, "login_code.html", error.status_code, **values)
    return answer


@router.post("/logout", response_model=None)
def log_out_(request: Request, who: Person) -> RedirectResponse:
    answer = RedirectResponse("/login", status_code=303)
    log_out(request, answer, who)
    return answer
