"""The scope of every route, enforced for keys, sessions and anonymous requests."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import update

from aura.web.api import events
from aura.web.auth import requirements
from aura.web.auth.csrf import CSRF_HEADER
from aura.web.auth.requirements import PUBLIC
from db import api_keys, second_factor, transaction, users
from db.api_keys import SCOPES
from db.models import ApiKey
from db.time import from_now
from tests.embedded import web_app
from tests.unit.web.clients import PASSWORD, anonymous_client, create_key, create_user, log_in, remote_client

#: The scope of every route; None is public. A new route fails the first test until it is listed.
ROUTES: dict[str, str | None] = {
    "GET /openapi.json": None,
    "HEAD /openapi.json": None,
    "POST /tickets": "submit",
    "GET /": "read",
    "GET /charts/{name}.json": "read",
    "POST /examples": "operate",
    "GET /login": None,
    "POST /login": None,
    "POST /login/code": None,
    "POST /logout": "account",
    "GET /account": "account",
    "POST /account/password": "account",
    "POST /account/sessions/{session_id}/end": "account",
    "POST /account/sessions/end": "account",
    "GET /account/totp": "account",
    "POST /account/totp": "account",
    "POST /account/totp/confirm": "account",
    "POST /account/totp/codes": "account",
    "POST /account/totp/remove": "account",
    "GET /audit": "admin",
    "GET /tickets.csv": "read",
    "GET /tickets": "read",
    "GET /tickets/new": "read",
    "POST /tickets/new": "submit",
    "GET /tickets/{ticket_id}": "read",
    "GET /tickets/{ticket_id}/attachments/{attachment_id}": "read",
    "GET /tickets/{ticket_id}/attachments/{attachment_id}/picture": "read",
    "POST /tickets/{ticket_id}/correct": "operate",
    "POST /tickets/{ticket_id}/resolve": "operate",
    "POST /tickets/{ticket_id}/status": "operate",
    "POST /tickets/{ticket_id}/assign": "operate",
    "POST /tickets/{ticket_id}/comment": "operate",
    "POST /tickets/{ticket_id}/reanalyze": "operate",
    "POST /tickets/{ticket_id}/rerun": "operate",
    "POST /tickets/{ticket_id}/participants/add": "operate",
    "POST /tickets/{ticket_id}/participants/remove": "operate",
    "GET /unsubscribe/{token}": None,
    "POST /unsubscribe/{token}": None,
    "GET /review": "read",
    "POST /review/{ticket_id}": "operate",
    "GET /queues": "read",
    "POST /queues/{queue}/pause": "operate",
    "POST /queues/{queue}/resume": "operate",
    "POST /queues/{queue}/limit": "operate",
    "GET /jobs": "read",
    "GET /jobs/{job_id}": "read",
    "POST /jobs/{job_id}/cancel": "operate",
    "POST /jobs/{job_id}/retry": "operate",
    "POST /jobs/cancel": "operate",
    "POST /jobs/retry": "operate",
    "GET /dead-letters": "read",
    "GET /dead-letters/{letter_id}": "read",
    "POST /dead-letters/{letter_id}/replay": "operate",
    "POST /dead-letters/{letter_id}/discard": "operate",
    "POST /dead-letters": "operate",
    "GET /schedules": "read",
    "POST /schedules/{name}/{action}": "operate",
    "GET /workers": "read",
    "POST /workers/{worker}/drain": "operate",
    "GET /incidents": "read",
    "POST /incidents/{incident_id}/{action}": "operate",
    "GET /ai": "read",
    "GET /ai/reliability.svg": "read",
    "POST /ai/use": "admin",
    "POST /ai/backtest": "operate",
    "POST /api/v1/tickets/bulk": "submit",
    "POST /api/v1/tickets": "submit",
    "GET /api/v1/tickets": "read",
    "GET /api/v1/tickets/{ticket_id}": "read",
    "PATCH /api/v1/tickets/{ticket_id}": "operate",
    "GET /api/v1/tickets/{ticket_id}/attachments": "read",
    "GET /api/v1/tickets/{ticket_id}/attachments/{attachment_id}": "read",
    "POST /api/v1/tickets/{ticket_id}/attachments": "operate",
    "POST /api/v1/tickets/{ticket_id}/comments": "operate",
    "POST /api/v1/tickets/{ticket_id}/reanalyze": "operate",
    "POST /api/v1/tickets/{ticket_id}/rerun": "operate",
    "GET /api/v1/tickets/{ticket_id}/participants": "read",
    "POST /api/v1/tickets/{ticket_id}/participants": "operate",
    "DELETE /api/v1/tickets/{ticket_id}/participants/{address}": "operate",
    "GET /api/v1/jobs": "read",
    "POST /api/v1/jobs/{job_id}/cancel": "operate",
    "POST /api/v1/jobs/{job_id}/retry": "operate",
    "POST /api/v1/jobs/cancel": "operate",
    "POST /api/v1/jobs/retry": "operate",
    "GET /api/v1/queues": "read",
    "POST /api/v1/queues/{queue}/pause": "operate",
    "POST /api/v1/queues/{queue}/resume": "operate",
    "PUT /api/v1/queues/{queue}/limit": "operate",
    "GET /api/v1/dead-letters": "read",
    "GET /api/v1/dead-letters/groups": "read",
    "GET /api/v1/dead-letters/{letter_id}": "read",
    "POST /api/v1/dead-letters/replay": "operate",
    "POST /api/v1/dead-letters/discard": "operate",
    "POST /api/v1/dead-letters/{letter_id}/replay": "operate",
    "POST /api/v1/dead-letters/{letter_id}/discard": "operate",
    "GET /api/v1/schedules": "read",
    "POST /api/v1/schedules/{job}/run": "operate",
    "POST /api/v1/schedules/{job}/pause": "operate",
    "POST /api/v1/schedules/{job}/resume": "operate",
    "GET /api/v1/models": "read",
    "POST /api/v1/models/{version}/use": "admin",
    "GET /api/v1/evaluation": "read",
    "GET /api/v1/ai/costs": "read",
    "GET /api/v1/workers": "read",
    "POST /api/v1/workers/{worker}/drain": "operate",
    "GET /api/v1/audit": "admin",
    "GET /api/v1/events": "read",
    "POST /api/v1/login": None,
    "POST /api/v1/logout": "account",
    "GET /api/v1/session": "read",
    "GET /api/v1/notifications": "read",
    "POST /api/v1/notifications/{notification_id}/read": "read",
    "POST /api/v1/mail": None,
    "GET /health/live": None,
    "GET /health/ready": None,
    "GET /metrics": "read",
    "* /static": None,
}


def test_every_route_is_listed_with_its_scope():
    assert {f"{method} {path}": scope for path, method, scope in requirements.route_scopes(web_app())} == ROUTES
    assert {path.partition(" ")[2] for path, scope in ROUTES.items() if scope is None} <= PUBLIC


def test_a_route_without_a_scope_stops_the_process():
    router = APIRouter()
    router.add_api_route("/secret", lambda: "everything")
    from aura.web.app import make_app

    app = make_app()  # one of its own, to be changed
    app.include_router(router, prefix="/deep")

    with pytest.raises(RuntimeError, match="GET /deep/secret declares no scope"):
        requirements.check(app)


def test_every_route_refuses_requests_without_its_scope(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MAX_SECONDS", 0)  # whoever is let in by mistake gets an answer that ends
    app = web_app()
    with transaction() as session:
        revoked, revoked_key = api_keys.create(session, "revoked", SCOPES)
        api_keys.revoke(session, revoked)
        expired, expired_key = api_keys.create(session, "expired", SCOPES, days=1)
        session.execute(update(ApiKey).where(ApiKey.id == expired).values(expires_at=from_now(-1)))
    others = {scope: create_key(*[each for each in SCOPES if each != scope], name=scope) for scope in SCOPES}
    others["account"] = create_key(*SCOPES, name="account")  # no key has the scope of sessions
    browsers = {role: remote_client(app) for role in users.ROLES}
    for role, browser in browsers.items():
        create_user(role)
        credentials = {"name": role, "password": PASSWORD, "code": recovery_code(role)}  # a session with two factors
        assert browser.post("/api/v1/login", json=credentials).status_code == 200
    nobody = remote_client(app)
    nobody.cookies.set("__Host-aura_session", "made-up", domain="aura.example.com")

    wrong = []
    for route, scope in ROUTES.items():
        if scope is None:
            continue
        method, _, path = route.partition(" ")
        path = re.sub(r"\{[^}]*\}", "1", path)

        def ask(web: TestClient, key: str | None = None, method: str = method, path: str = path) -> int:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            return web.request(method, path, json={}, headers=headers).status_code

        tried = {
            "no key": (401, ask(remote_client(app))),
            "no key, here": (401, ask(anonymous_client(app))),
            "an empty key": (401, ask(remote_client(app), "")),
            "a wrong key": (401, ask(remote_client(app), "aura_" + "x" * 43)),
            "a revoked key": (401, ask(remote_client(app), revoked_key)),
            "an expired key": (401, ask(remote_client(app), expired_key)),
            "another scope": (403, ask(remote_client(app), others[scope])),
            "a made-up login": (401, ask(nobody)),
        }
        for role, browser in browsers.items():
            if method != "GET":
                tried[f"{role} without CSRF token"] = (403, ask(browser))
            elif scope not in (*users.ROLES[role], "account"):
                tried[role] = (403, ask(browser))
        wrong += [f"{route}: {who}: {got}, not {want}" for who, (want, got) in tried.items() if want != got]
    assert not wrong


def recovery_code(name: str) -> str:
    """Set up a second factor of a user, and return one of its recovery codes."""
    with transaction() as session:
        user = users.find(session, name)
        assert user is not None
        second_factor.prepare(session, user.id)
        seed, _ = second_factor.pending(session, user.id) or ("", "")
        return second_factor.confirm(session, user.id, pyotp.TOTP(seed).now())[0]


def test_a_session_without_its_required_second_factor_reaches_its_account_alone(
    configure: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "MAX_SECONDS", 0)
    configure(AURA_REQUIRE_TOTP="admin,operator,viewer")
    browser = remote_client(web_app())
    token = log_in(browser, create_user("admin")).json()["csrf"]

    wrong = []
    for route, scope in ROUTES.items():
        method, _, path = route.partition(" ")
        if scope not in (None, "account"):
            status = browser.request(
                method, re.sub(r"\{[^}]*\}", "1", path), json={}, headers={CSRF_HEADER: token}
            ).status_code
            wrong += [f"{route}: {status}"] if status != 403 else []
    assert not wrong
    page = browser.get("/tickets", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, "/account")
