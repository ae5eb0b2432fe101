"""Page /account: the own password, the second factor and the sessions of a user."""

from __future__ import annotations

import io

import segno
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from aura.errors import InvalidInput, NotFound
from aura.web.auth.identity import Identity, needs_second_factor
from aura.web.auth.login import Login
from aura.web.auth.requirements import Person
from aura.web.auth.sessions import log_out
from aura.web.pages.forms import Fields, redirect
from aura.web.render import page
from db import audit, reading, second_factor, user_sessions, users
from db.user_sessions import ActiveSession

router = APIRouter(prefix="/account")


@router.get("", response_class=HTMLResponse)
def show_account(request: Request, who: Person) -> HTMLResponse:
    own = _session(who)
    with reading() as session:
        sessions = user_sessions.listing(session, own.user_id)
        account = users.find(session, own.user)
        codes = second_factor.codes_left(session, own.user_id) if own.totp else 0
    for each in sessions:
        each["device"], each["this"] = device_of(each["user_agent"]), own.digest.startswith(each["id"])
    return page(
        request,
        "account.html",
        sessions=sessions,
        user=own,
        codes=codes,
        has_password=account is not None and account.has_password,
        required=needs_second_factor(own),
    )


@router.post("/password")
async def change_password(request: Request, who: Person, fields: Fields) -> RedirectResponse:
    """Change the password, end all sessions, and lead to the login."""
    login: Login = request.app.state.login
    new = fields.get("new", "")
    if new != fields.get("again", ""):
        raise InvalidInput("the new password and its repetition differ")
    await _require_password(request, who, fields, "old")
    await login.set_password(who, _session(who).user, new)
    answer = redirect("/login", "password")
    log_out(request, answer, who)
    return answer


@router.post("/sessions/{session_id}/end")
def end_session(who: Person, session_id: str) -> RedirectResponse:
    own = _session(who)
    with audit.acting(who, "session.end", f"user/{own.user}") as session:
        user_sessions.end(session, own.user_id, session_id)
    return redirect("/account", "session")


@router.post("/sessions/end")
def end_other_sessions(who: Person) -> RedirectResponse:
    own = _session(who)
    with audit.acting(who, "session.end_others", f"user/{own.user}") as session:
        user_sessions.end_others(session, own.user_id, own.digest)
    return redirect("/account", "sessions")


@router.get("/totp", response_class=HTMLResponse)
def show_totp(request: Request, who: Person) -> Response:
    """Show the picture and the seed of a second factor that waits for its confirmation."""
    with reading() as session:
        found = second_factor.pending(session, _session(who).user_id)
    if found is None:
        return RedirectResponse("/account", 303)
    seed, uri = found
    grouped = " ".join(seed[at : at + 4] for at in range(0, len(seed), 4))
    return page(request, "account_totp.html", seed=grouped, picture=qr_code(uri), error="")


@router.post("/totp")
async def prepare_totp(request: Request, who: Person, fields: Fields) -> RedirectResponse:
    await _require_password(request, who, fields)
    with audit.acting(who, "totp.prepare", f"user/{_session(who).user}") as session:
        second_factor.prepare(session, _session(who).user_id)
    return redirect("/account/totp")


@router.post("/totp/confirm")
def confirm_totp(request: Request, who: Person, fields: Fields) -> HTMLResponse:
    """Put the second factor into effect, end the other sessions, and show the recovery codes once."""
    own = _session(who)
    with audit.acting(who, "totp.confirm", f"user/{own.user}") as session:
        codes = second_factor.confirm(session, own.user_id, fields.get("code", ""))
        user_sessions.end_others(session, own.user_id, own.digest)
    return page(request, "account_codes.html", codes=codes)


@router.post("/totp/codes")
async def renew_codes(request: Request, who: Person, fields: Fields) -> HTMLResponse:
    own = _session(who)
    if not own.totp:
        raise NotFound("no second factor is set up")
    await _require_password(request, who, fields)
    with audit.acting(who, "totp.codes", f"user/{own.user}") as session:
        codes = second_factor.renew_codes(session, own.user_id)
    return page(request, "account_codes.html", codes=codes)


@router.post("/totp/remove")
async def remove_totp(request: Request, who: Person, fields: Fields) -> RedirectResponse:
    await _require_password(request, who, fields)
    with audit.acting(who, "totp.remove", f"user/{_session(who).user}") as session:
        second_factor.remove(session, _session(who).user_id)
    return redirect("/account", "totp-removed")


def qr_code(text: str) -> Markup:
    """Return the QR code of a text as an SVG element without styles, which the Content-Security-Policy allows.

    segno needs no imaging library and writes SVG without inline styles; qrcode needs Pillow or lxml factories.
    """
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", scale=5, border=4, xmldecl=False, svgns=False, svgclass="qr", lineclass=None,
        dark="#000", light="#fff", title="QR code of the second factor", omitsize=True,
    )  # fmt: skip
    return Markup(out.getvalue().decode())  # made of the code's modules alone


def device_of(user_agent: str) -> str:
    """Return browser and system of a User-Agent header, as far as they are known."""
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    )  # fmt: skip
    browser = next((name for sign, name in browsers if sign in user_agent), "")
    system = next((name for sign, name in systems if sign in user_agent), "")
    return " on ".join(filter(None, (browser, system))) or user_agent[:40] or "unknown device"


def _session(who: Identity) -> ActiveSession:
    if who.session is None:
        raise NotFound("an API key has no account")
    return who.session


async def _require_password(request: Request, who: Identity, fields: dict[str, str], name: str = "password") -> None:
    """Raise Forbidden unless the form has the user's password; a user who has none has a login link alone."""
    login: Login = request.app.state.login
    await login.require_password(_session(who).user, fields.get(name, ""), who.address)
