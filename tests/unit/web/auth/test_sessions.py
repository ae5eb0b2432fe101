"""Session cookies: log in, log out, what ends a session."""

from __future__ import annotations

from typing import Any

from aura.web.auth.csrf import CSRF_HEADER
from db import transaction, users
from db.models import UserSession
from tests.embedded import move
from tests.unit.web.clients import anonymous_client, audit_entries, create_user, log_in, remote_client


def test_a_user_logs_in_acts_and_logs_out():
    create_user("admin", "ada")
    web = remote_client()
    answer = log_in(web, "ada")

    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-aura_session=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert web.get("/api/v1/session").json()["who"] == "user ada"
    token = {CSRF_HEADER: answer.json()["csrf"]}
    assert web.post("/tickets", json={"title": "x"}, headers=token).status_code == 202
    assert web.post("/tickets", json={"title": "x"}, headers={CSRF_HEADER: "x"}).status_code == 403
    stolen = web.cookies.get("__Host-aura_session")
    assert web.post("/api/v1/logout", headers=token).status_code == 204
    web.cookies.set("__Host-aura_session", stolen or "", domain="aura.example.com")
    assert web.get("/api/v1/session").status_code == 401
    assert audit_entries() == [
        ("user ada", "login.begin", "user/ada"), ("user ada", "access.refuse", "user/ada"), ("user ada", "login.end", "user/ada"),
    ]  # fmt: skip


def test_a_login_over_http_is_accepted_from_this_machine_alone():
    create_user("viewer")

    assert log_in(remote_client(url="http://aura.example.com"), "viewer").status_code == 403
    assert log_in(anonymous_client(), "viewer").headers["set-cookie"].startswith("aura_session=")


def test_a_disabled_user_and_a_changed_password_end_all_sessions():
    create_user("viewer")
    web, other = remote_client(), remote_client()
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


def test_a_session_expires():
    create_user("viewer")
    web = remote_client()
    log_in(web, "viewer")
    move(UserSession, expires_at=-1)

    assert web.get("/api/v1/session").status_code == 401


def test_over_https_a_cookie_without_the_prefix_is_ignored():
    create_user("viewer")
    web = remote_client()
    log_in(web, "viewer")
    token = web.cookies.get("__Host-aura_session") or ""
    victim = remote_client()
    victim.cookies.set("aura_session", token, domain="aura.example.com")

    assert web.get("/api/v1/session").status_code == 200
    assert victim.get("/api/v1/session").status_code == 401, "a sibling host can set this cookie"


def test_behind_a_proxy_the_https_base_url_decides(configure: Any):
    configure(AURA_BASE_URL="https://desk.example.com")
    create_user("viewer")
    web = remote_client(url="http://127.0.0.1:8000")

    answer = log_in(web, "viewer")

    assert answer.headers["set-cookie"].startswith("__Host-aura_session=")
    assert answer.headers["strict-transport-security"]
