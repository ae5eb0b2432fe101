"""Logging in by the API: the dashboard's cookie, and who somebody is."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aura.web.auth.identity import Reader
from aura.web.auth.sessions import Login, log_out

router = APIRouter(prefix="/api/v1", tags=["login"])


class Credentials(BaseModel):
    """Who wants to log in."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=80, examples=["ada"])
    password: str = Field(min_length=1, max_length=200, examples=["correct horse battery"])


class Session(BaseModel):
    """Who asks, what they may, and what their browser must send as X-CSRF-Token with whatever changes something."""

    who: str
    scopes: list[str]
    csrf: str


@router.post("/login", summary="Log in")
async def log_in(request: Request, response: Response, said: Credentials) -> dict[str, str]:
    """Set the cookie of a login that lasts twelve hours."""
    door: Login = request.app.state.door
    browser = await door.log_in(request, response, said.name, said.password)
    return {"user": browser.user, "role": browser.role, "csrf": browser.csrf}


@router.post("/logout", status_code=204, summary="Log out")
def end(request: Request, who: Reader) -> Response:
    """End the login."""
    response = Response(status_code=204)
    log_out(request, response, who)
    return response


@router.get("/session", summary="Who am I?")
def session(who: Reader) -> Session:
    """Return who asks, and what they may."""
    return Session(who=who.name, scopes=sorted(who.scopes), csrf=who.csrf)
