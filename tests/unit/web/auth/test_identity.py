"""Who may ask what: every route of the table, with nothing, with keys that are no good, and from browsers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from aura.jobs.ttl_cache import TTLCache
from aura.settings import SettingsError
from aura.web.api import events
from aura.web.auth import identity
from aura.web.auth.identity import CSRF_HEADER, OPEN
from db import api_keys, reading, transaction, users
from db.api_keys import SCOPES
from db.models import ApiKey, AuditEntry, User, UserSession
from db.time import from_now
from tests.embedded import count, move, web_app

PASSWORD = "correct horse battery"
#: What makes a password hard to guess, and takes its time.
HASHER = users._hasher
#: Every route, and the scope it needs; None is open. A new route fails the test below until it stands here.
ROUTES: dict[str, str | None] = {
    "* /static": None,
    "GET /openapi.json": None,
    "HEAD /openapi.json": None,
    "GET /": "read",
    "GET /charts/{name}.json": "read",
    "POST /examples": "operate",
    "GET /login": None,
    "POST /login": None,
    "POST /logout": "read",
    "GET /audit": "admin",
    "GET /tickets": "read",
    "GET /tickets.csv": "read",
    "GET /tickets/new": "read",
    "POST /tickets/new": "submit",
    "GET /tickets/{ticket_id}": "read",
    "POST /tickets/{ticket_id}/correct": "operate",
    "POST /tickets/{ticket_id}/resolve": "operate",
    "POST /tickets/{ticket_id}/status": "operate",
    "POST /tickets/{ticket_id}/assign": "operate",
    "POST /tickets/{ticket_id}/comment": "operate",
    "POST /tickets/{ticket_id}/again": "operate",
    "GET /review": "read",
    "POST /review/{ticket_id}": "operate",
    "GET /queues": "read",
    "POST /queues/{queue}/pause": "operate",
    "POST /queues/{queue}/resume": "operate",
    "POST /queues/{queue}/limit": "operate",
    "GET /jobs": "read",
    "GET /jobs/{job_id}": "read",
    "POST /jobs/{job_id}/cancel": "operate",
    "GET /dead": "read",
    "GET /dead/{letter_id}": "read",
    "POST /dead/{letter_id}/replay": "operate",
    "POST /dead/{letter_id}/discard": "operate",
    "POST /dead": "operate",
    "GET /schedules": "read",
    "POST /schedules/{name}/{what}": "operate",
    "GET /workers": "read",
    "POST /workers/{worker}/drain": "operate",
    "GET /incidents": "read",
    "POST /incidents/{number}/{what}": "operate",
    "GET /ai": "read",
    "GET /ai/reliability.svg": "read",
    "POST /ai/use": "admin",
    "POST /ai/replay": "operate",
    "POST /tickets": "submit",
    "POST /api/v1/tickets/bulk": "submit",
    "POST /api/v1/tickets": "submit",
    "GET /api/v1/tickets": "read",
    "GET /api/v1/tickets/{number}": "read",
    "PATCH /api/v1/tickets/{number}": "operate",
    "POST /api/v1/tickets/{number}/comments": "operate",
    "POST /api/v1/tickets/{number}/analyze": "operate",
    "POST /api/v1/tickets/{number}/replay": "operate",
    "GET /api/v1/jobs": "read",
    "POST /api/v1/jobs/{number}/cancel": "operate",
    "GET /api/v1/queues": "read",
    "POST /api/v1/queues/{queue}/pause": "operate",
    "POST /api/v1/queues/{queue}/resume": "operate",
    "PUT /api/v1/queues/{queue}/limit": "operate",
    "GET /api/v1/dead-letters": "read",
    "GET /api/v1/dead-letters/groups": "read",
    "GET /api/v1/dead-letters/{number}": "read",
    "POST /api/v1/dead-letters/replay": "operate",
    "POST /api/v1/dead-letters/discard": "operate",
    "POST /api/v1/dead-letters/{number}/replay": "operate",
    "POST /api/v1/dead-letters/{number}/discard": "operate",
    "GET /api/v1/schedules": "read",
    "POST /api/v1/schedules/{job}/run": "operate",
    "POST /api/v1/schedules/{job}/pause": "operate",
    "POST /api/v1/schedules/{job}/resume": "operate",
    "GET /api/v1/models": "read",
    "POST /api/v1/models/{version}/use": "admin",
    "GET /api/v1/evaluation": "read",
    "GET /api/v1/spend": "read",
    "GET /api/v1/workers": "read",
    "POST /api/v1/workers/{worker}/drain": "operate",
    "GET /api/v1/audit": "admin",
    "GET /api/v1/events": "read",
    "POST /api/v1/login": None,
    "POST /api/v1/logout": "read",
    "GET /api/v1/session": "read",
    "GET /health/live": None,
    "GET /health/ready": None,
    "GET /metrics": "read",
    "POST /api/v1/intake/email": None,
    "GET /api/v1/notifications": "read",
    "POST /api/v1/notifications/{notification_id}/read": "read",
}


@pytest.fixture(autouse=True)
def seen_at_once(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the tables each time, and take little time for a password."""
    monkeypatch.setattr(users, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(identity, "FRESH", -1.0)
    monkeypatch.setattr(identity, "_any_key", TTLCache(-1.0, api_keys.any_made))


def client(
    app: FastAPI | None = None, url: str = "https://aura.example.com", address: str = "192.0.2.7", **headers: str
) -> TestClient:
    return TestClient(app or web_app(), url, False, client=(address, 50000), headers=headers)


def here(app: FastAPI | None = None, **headers: str) -> TestClient:
    """A client on the machine itself."""
    return client(app, "http://127.0.0.1:8000", "127.0.0.1", **headers)


def make_key(*scopes: str, name: str = "test") -> str:
    with transaction() as session:
        return api_keys.create(session, name, scopes)[1]


def make_user(role: str, name: str = "") -> str:
    with transaction() as session:
        users.create(session, name or role, PASSWORD, role)
    return name or role


def log_in(web: TestClient, name: str, password: str = PASSWORD) -> Any:
    return web.post("/api/v1/login", json={"name": name, "password": password})


def audited() -> list[tuple[str, str, str]]:
    with reading() as session:
        return [
            (row.who, row.action, row.subject) for row in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        ]


# -- the table --------------------------------------------------------------------------------------------------------


def test_every_route_is_listed_with_what_it_needs():
    assert {f"{method} {path}": scope for path, method, scope in identity.table(web_app())} == ROUTES
    assert {path.partition(" ")[2] for path, scope in ROUTES.items() if scope is None} <= OPEN


def test_a_route_that_says_not_what_it_needs_stops_the_process():
    router = APIRouter()
    router.add_api_route("/secret", lambda: "everything")
    from aura.web.app import make_app

    app = make_app()  # one of its own, to be changed
    app.include_router(router, prefix="/deep")

    with pytest.raises(RuntimeError, match="GET /deep/secret says not what it needs"):
        identity.check(app)


def test_every_route_refuses_who_may_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "LASTS", 0)  # whoever is let in by mistake gets an answer that ends
    app = web_app()
    with transaction() as session:
        revoked, revoked_key = api_keys.create(session, "revoked", SCOPES)
        api_keys.revoke(session, revoked)
        expired, expired_key = api_keys.create(session, "expired", SCOPES, days=1)
        session.execute(update(ApiKey).where(ApiKey.id == expired).values(expires_at=from_now(-1)))
    others = {scope: make_key(*[each for each in SCOPES if each != scope], name=scope) for scope in SCOPES}
    browsers = {role: client(app) for role in users.ROLES}
    for role, browser in browsers.items():
        assert log_in(browser, make_user(role)).status_code == 200
    nobody = client(app)
    nobody.cookies.set("__Host-aura_login", "made-up", domain="aura.example.com")

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
            "no key": (401, ask(client(app))),
            "no key, here": (401, ask(here(app))),
            "an empty key": (401, ask(client(app), "")),
            "a wrong key": (401, ask(client(app), "aura_" + "x" * 43)),
            "a revoked key": (401, ask(client(app), revoked_key)),
            "an expired key": (401, ask(client(app), expired_key)),
            "another scope": (403, ask(client(app), others[scope])),
            "a made-up login": (401, ask(nobody)),
        }
        for role, browser in browsers.items():
            if method != "GET":
                tried[f"{role} without CSRF token"] = (403, ask(browser))
            elif scope not in users.ROLES[role]:
                tried[role] = (403, ask(browser))
        wrong += [f"{route}: {who}: {got}, not {want}" for who, (want, got) in tried.items() if want != got]
    assert not wrong


def test_a_key_with_the_scope_comes_through_and_its_use_is_noted():
    answer = client().post("/tickets", json={"title": "x"}, headers={"Authorization": f"Bearer {make_key('submit')}"})

    assert answer.status_code == 202
    with reading() as session:
        assert session.scalars(select(ApiKey.last_used_at)).one() is not None


def test_the_use_of_a_key_is_written_once_a_minute():
    secret = make_key("read")
    web = client(Authorization=f"Bearer {secret}")
    written = []
    for since in (-30.0, -90.0):
        move(ApiKey, last_used_at=since)
        with reading() as session:
            before = session.scalars(select(ApiKey.last_used_at)).one()
        assert web.get("/api/v1/session").json()["who"] == "key test"
        with reading() as session:
            written.append(session.scalars(select(ApiKey.last_used_at)).one() != before)

    assert written == [False, True]


def test_no_key_is_kept_that_somebody_could_use():
    secret = make_key("read")
    with reading() as session:
        kept = session.scalars(select(ApiKey)).one()

    assert secret not in str(vars(kept))
    assert kept.digest == api_keys.digest(secret)


def test_a_name_has_two_live_keys_at_most():
    first = make_key("read")
    make_key("read")
    with pytest.raises(api_keys.InvalidApiKey, match="revoke one of them first"):
        make_key("read")

    with reading() as session:
        found = api_keys.find(session, first)
    assert found is not None
    with transaction() as session:
        api_keys.revoke(session, found[0].id)
    make_key("read")


# -- the machine itself, in development -------------------------------------------------------------------------------


def test_in_development_this_machine_needs_no_key_until_the_first_is_made():
    app = web_app()
    assert here(app).get("/api/v1/session").json()["who"] == "local"

    make_key("read")

    assert here(app).get("/api/v1/session").status_code == 401


@pytest.mark.parametrize(
    "web",
    [
        lambda: client(address="192.0.2.7", url="http://127.0.0.1:8000"),
        lambda: client(address="127.0.0.1", url="http://attacker.example:8000"),
        lambda: here(Origin="https://attacker.example"),
        lambda: here(Origin="null"),
        lambda: here(**{"Sec-Fetch-Site": "cross-site"}),
        lambda: here(**{"X-Forwarded-For": "192.0.2.7"}),
    ],
    ids=["another machine", "a rebound name", "a page elsewhere", "a sandboxed page", "a browser says so", "a proxy"],
)
def test_nobody_else_passes_for_this_machine(web: Callable[[], TestClient]):
    assert web().post("/tickets", json={"title": "x"}).status_code == 401


def test_production_is_never_open_and_refuses_to_start_without_anybody(configure: Any, sqlite: str):
    configure(
        AURA_ENV="production", RABBITMQ_URL="amqp://aura:3hj4@rabbit/", DATABASE_URL="postgresql://aura:3hj4@db/aura"
    )
    assert not asyncio.run(identity._open())

    class Production:
        production = True

    with pytest.MonkeyPatch.context() as patch:
        configure(AURA_ENV="development", DATABASE_URL=sqlite)
        patch.setattr(identity, "get_settings", Production)
        with pytest.raises(SettingsError, match="aura keys create"):
            identity.how()
        make_key("submit")
        assert "keys and logins" in identity.how()


# -- browsers ---------------------------------------------------------------------------------------------------------


def test_somebody_logs_in_acts_and_logs_out():
    make_user("admin", "ada")
    web = client()
    answer = log_in(web, "ada")

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-aura_login=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert web.get("/api/v1/session").json()["who"] == "user ada"
    token = {CSRF_HEADER: answer.json()["csrf"]}
    assert web.post("/tickets", json={"title": "x"}, headers=token).status_code == 202
    assert web.post("/tickets", json={"title": "x"}, headers={CSRF_HEADER: "x"}).status_code == 403
    stolen = web.cookies.get("__Host-aura_login")
    assert web.post("/api/v1/logout", headers=token).status_code == 204
    web.cookies.set("__Host-aura_login", stolen or "", domain="aura.example.com")
    assert web.get("/api/v1/session").status_code == 401
    assert audited() == [("user ada", "login.begin", "user/ada"), ("user ada", "login.end", "user/ada")]


def test_the_first_user_gets_a_password_that_nobody_else_chose():
    with transaction() as session:
        password = users.create_first(session)
        assert users.create_first(session) is None
    assert password is not None
    web = client()

    assert log_in(web, users.FIRST, password).json()["role"] == "admin"
    with reading() as session:
        assert password not in str([vars(user) for user in session.scalars(select(User))])


def test_an_inbox_is_for_its_owner_and_for_operators():
    make_user("viewer", "ada")
    web = client()
    log_in(web, "ada")
    operator, reader = make_key("read", "operate", name="desk"), make_key("read", name="board")

    def asks(recipient: str, key: str = "") -> int:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return web.get("/api/v1/notifications", params={"recipient": recipient}, headers=headers).status_code

    assert [asks("Ada"), asks("bob"), asks("bob", operator), asks("bob", reader)] == [200, 403, 200, 403]


def test_a_form_may_bring_its_token_in_a_field():
    make_user("operator")
    web = client()
    token = log_in(web, "operator").json()["csrf"]

    assert web.post("/api/v1/logout", data={"csrf": "wrong"}).status_code == 403
    assert web.post("/api/v1/logout", data={"csrf": token}).status_code == 204


def test_a_token_from_another_site_is_refused():
    make_user("operator")
    web = client()
    token = log_in(web, "operator").json()["csrf"]

    answer = web.post("/api/v1/logout", headers={CSRF_HEADER: token, "Origin": "https://attacker.example"})
    assert answer.status_code == 403


def test_passwords_go_over_https_or_stay_on_the_machine():
    make_user("viewer")

    assert log_in(client(url="http://aura.example.com"), "viewer").status_code == 403
    assert log_in(here(), "viewer").headers["set-cookie"].startswith("aura_login=")


def test_a_disabled_user_and_a_changed_password_end_every_login():
    make_user("viewer")
    web, other = client(), client()
    assert log_in(web, "viewer").status_code == log_in(other, "viewer").status_code == 200

    with transaction() as session:
        users.disable(session, "viewer")
    assert web.get("/api/v1/session").status_code == 401
    assert log_in(web, "viewer").status_code == 401
    with transaction() as session:
        users.disable(session, "viewer", False)
        users.set_password(session, "viewer", "another horse battery")

    assert other.get("/api/v1/session").status_code == 401
    assert log_in(web, "viewer").status_code == 401
    assert log_in(web, "viewer", "another horse battery").status_code == 200


def test_a_login_ends_by_itself():
    make_user("viewer")
    web = client()
    log_in(web, "viewer")
    move(UserSession, expires_at=-1)

    assert web.get("/api/v1/session").status_code == 401


def test_who_guesses_has_to_wait_whoever_it_is_they_guess(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(users, "PER_ACCOUNT", 2)
    monkeypatch.setattr(users, "PER_ADDRESS", 3)
    make_user("viewer")
    guesser, other = client(), client(address="192.0.2.8")

    assert [log_in(guesser, "viewer", "wrong").status_code for _ in range(3)] == [401, 401, 429]
    assert log_in(other, "viewer").status_code == 429, "the account waits"
    assert [log_in(guesser, "nobody", "wrong").status_code for _ in range(2)] == [401, 429]
    assert "Retry-After" in log_in(guesser, "nobody", "wrong").headers
    move(AuditEntry, at=-users.WITHIN - 1)
    assert log_in(guesser, "viewer").status_code == 200


def test_a_password_is_kept_as_argon2id(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(users, "_hasher", HASHER)
    make_user("viewer")
    with reading() as session:
        assert session.scalars(select(User.password)).one().startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("password", ["short", "x" * 201])
def test_a_password_has_ten_characters_at_least(password: str):
    with pytest.raises(users.InvalidUser, match="10 to 200"), transaction() as session:
        users.create(session, "ada", password, "viewer")
    assert count(User) == 0


def test_every_answer_keeps_a_browser_from_mischief():
    web = here()
    for answer in (web.get("/health/live"), web.get("/nothing"), client().get("/metrics")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
