"""Resource session: log in, log out, and who sends the request."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aura.web.auth.requirements import Reader
from aura.web.auth.sessions import Login, log_out

router = APIRouter(tags=["session"])


class Credentials(BaseModel):
    """Name and password of a user."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=80, examples=["ada"])
    password: str = Field(min_length=1, max_length=200, examples=["correct horse battery"])


class NewSession(BaseModel):
    """A session that was started; `csrf` is sent as X-CSRF-Token with each change."""

    user: str
    role: str
    csrf: str


class Session(BaseModel):
    """Who sends the request, their scopes, and the CSRF token of the session (empty for a program)."""

    who: str
    scopes: list[str]
    csrf: str


@router.post("/login", summary="Log in")
async def log_in(request: Request, response: Response, body: Credentials) -> NewSession:
    """Start a session of twelve hours and set its cookie."""
    login: Login = request.app.state.login
    session = await login.log_in(request, response, body.name, body.password)
    return NewSession(user=session.user, role=session.role, csrf=session.csrf)


@router.post("/logout", status_code=204, summary="Log out")
def log_out_(request: Request, who: Reader) -> Response:
    """End the session."""
    response = Response(status_code=204)
    log_out(request, response, who)
    return response


@router.get("/session", summary="Show the session")
def show_session(who: Reader) -> Session:
    """Return who sends the request, with their scopes."""
    return Session(who=who.name, scopes=sorted(who.scopes), csrf=who.csrf)
