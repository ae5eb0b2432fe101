"""Resource session: log in, log out, and who sends the request."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from aura.web.auth.login import Login
from aura.web.auth.requirements import Person, Reader
from aura.web.auth.sessions import log_out
from db.api_keys import SCOPES

router = APIRouter(tags=["session"])


class Credentials(BaseModel):
    """Name and password of a user."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=80, examples=["ada"])
    password: str = Field(min_length=1, max_length=200, examples=["correct horse battery"])
    code: str = Field("", max_length=40, description="A code of the second factor, or a recovery code.")

    @field_validator("name", "password", "code")
    @classmethod
    def _no_nul(cls, value: str) -> str:
        if "\0" in value:  # no user has it, and PostgreSQL refuses it
            raise ValueError("must not contain the character NUL")
        return value


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
    """Start a session of twelve hours and set its cookie. A user with a second factor needs `code`, else the answer is 401."""
    login: Login = request.app.state.login
    session = await login.log_in(request, response, body.name, body.password, body.code)
    return NewSession(user=session.user, role=session.role, csrf=session.csrf)


@router.post("/logout", status_code=204, summary="Log out")
def log_out_(request: Request, who: Person) -> Response:
    """End the session."""
    response = Response(status_code=204)
    log_out(request, response, who)
    return response


@router.get("/session", summary="Show the session")
def show_session(who: Reader) -> Session:
    """Return who sends the request, with their scopes."""
    return Session(who=who.name, scopes=sorted(who.scopes & set(SCOPES)), csrf=who.csrf)
