"""The page /account: the own password, second factor and sessions."""

from __future__ import annotations

import re

import pyotp
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from aura.web.auth import login
from aura.web.pages import account
from aura.web.pages.account import device_of
from db import login_links, reading, transaction
from db.models import RecoveryCode, User, UserSession
from tests.embedded import count
from tests.unit.web.clients import PASSWORD, anonymous_client, audit_entries, create_user, log_in, submit

NEW = "violet engine sofa harbour"


def visitor(name: str = "ada", agent: str = "Firefox/130.0 Linux") -> TestClient:
    """Return a browser that is logged in; each of its forms has the CSRF token."""
    client = anonymous_client(Accept="text/html", **{"User-Agent": agent})
    client.follow_redirects = False
    client.headers["X-CSRF-Token"] = log_in(client, name).json()["csrf"]
    return client


@pytest.fixture
def ada(database: str) -> TestClient:
    create_user("operator", "ada")
    return visitor()


def test_a_user_changes_the_own_password_which_ends_all_sessions(ada: TestClient):
    other = visitor()
    answer = ada.post("/account/password", data={"old": PASSWORD, "new": NEW, "again": NEW})

    assert (answer.status_code, answer.headers["location"]) == (303, "/login?done=password")
    assert "The password was changed" in ada.get(answer.headers["location"]).text
    assert [each.get("/account").status_code for each in (ada, other)] == [303, 303]
    assert log_in(anonymous_client(), "ada").status_code == 401
    assert log_in(anonymous_client(), "ada", NEW).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"old": "wrong", "new": NEW, "again": NEW}, 403),
        ({"old": PASSWORD, "new": NEW, "again": "other"}, 422),
        ({"old": PASSWORD, "new": "ada-ada-ada-ada", "again": "ada-ada-ada-ada"}, 422),
        ({"old": PASSWORD, "new": "short", "again": "short"}, 422),
        ({}, 403),
    ],
)
def test_a_password_is_not_changed(ada: TestClient, fields: dict[str, str], status: int):
    assert ada.post("/account/password", data=fields).status_code == status
    assert log_in(anonymous_client(), "ada").status_code == 200


def test_guesses_of_the_current_password_are_limited(ada: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(login, "MAX_PER_DEVICE", 2)
    guess = {"old": "wrong", "new": NEW, "again": NEW}

    assert [ada.post("/account/password", data=guess).status_code for _ in range(3)] == [403, 403, 429]


def test_a_user_without_a_password_sets_one(database: str):
    with transaction() as session:
        token = login_links.create(session)[1]
    web = anonymous_client(Accept="text/html")
    web.get(f"/login?token={token}")
    csrf = web.get("/api/v1/session").json()["csrf"]

    assert "no password yet" in web.get("/account").text
    web.post("/account/password", data={"csrf": csrf, "new": NEW, "again": NEW})
    assert log_in(anonymous_client(), "admin", NEW).status_code == 200


def set_up(ada: TestClient) -> tuple[pyotp.TOTP, list[str]]:
    """Set up a second factor. Returns it with its recovery codes."""
    assert ada.post("/account/totp", data={"password": PASSWORD}).headers["location"] == "/account/totp"
    page = ada.get("/account/totp").text
    totp = pyotp.TOTP(re.search(r"<code>([A-Z2-7 ]+)</code>", page)[1].replace(" ", ""))  # type: ignore[index]
    assert "<svg" in page and "style=" not in page
    assert ada.post("/account/totp/confirm", data={"code": "000000"}).status_code == 422
    shown = ada.post("/account/totp/confirm", data={"code": totp.now()})
    return totp, re.findall(r"<code>([a-z2-9]{4}(?:-[a-z2-9]{4}){3})</code>", shown.text)


def test_a_second_factor_is_set_up_and_removed(ada: TestClient):
    other = visitor()
    totp, codes = set_up(ada)

    assert len(set(codes)) == 10
    assert other.get("/account").status_code == 303, "sessions without the second factor end"
    assert log_in(anonymous_client(), "ada").status_code == 401
    body = {"name": "ada", "password": PASSWORD, "code": totp.now()}
    assert anonymous_client().post("/api/v1/login", json=body).status_code == 401, (
        "the code of the confirmation is used up"
    )
    assert anonymous_client().post("/api/v1/login", json=body | {"code": codes[0]}).status_code == 200
    assert "9 recovery codes left" in ada.get("/account").text

    assert ada.post("/account/totp/remove", data={"password": "wrong"}).status_code == 403
    assert submit(ada, "/account/totp/remove", password=PASSWORD) == "The second factor was removed."
    assert log_in(anonymous_client(), "ada").status_code == 200
    assert count(RecoveryCode) == 0
    assert [action for _, action, _ in audit_entries() if action.startswith("totp")] == [
        "totp.prepare", "totp.confirm", "totp.remove",
    ]  # fmt: skip


def test_seed_and_recovery_codes_are_not_in_the_database(ada: TestClient):
    totp, codes = set_up(ada)
    with reading() as session:
        raw = session.connection().exec_driver_sql("SELECT totp_seed FROM users").scalar()
        stored = session.scalars(select(RecoveryCode.digest)).all()
        assert session.scalars(select(User.totp_seed)).one() == totp.secret
    if session.bind is not None and session.bind.dialect.name == "sqlite":  # which has a key file
        assert totp.secret not in raw
    assert not set(stored) & {code.replace("-", "") for code in codes}


def test_new_recovery_codes_replace_the_old_ones(ada: TestClient):
    assert ada.post("/account/totp/codes", data={"password": PASSWORD}).status_code == 404
    _, codes = set_up(ada)

    renewed = ada.post("/account/totp/codes", data={"password": PASSWORD}).text

    body = {"name": "ada", "password": PASSWORD}
    assert anonymous_client().post("/api/v1/login", json=body | {"code": codes[0]}).status_code == 401
    new = re.findall(r"<code>([a-z2-9-]{19})</code>", renewed)[0]
    assert anonymous_client().post("/api/v1/login", json=body | {"code": new}).status_code == 200


def test_a_second_factor_in_effect_is_not_replaced(ada: TestClient):
    totp, _ = set_up(ada)

    assert ada.post("/account/totp", data={"password": PASSWORD}).status_code == 422
    assert ada.get("/account/totp").headers["location"] == "/account"
    with reading() as session:
        assert session.scalars(select(User.totp_seed)).one() == totp.secret


def test_a_user_lists_and_ends_the_own_sessions(ada: TestClient):
    phone = visitor(agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1")
    create_user("admin", "bob")
    bob = visitor("bob")
    page = ada.get("/account").text
    assert "Firefox on Linux" in page and "Safari on iPhone" in page and page.count("this session") == 1
    addresses = re.findall(r"/account/sessions/([0-9a-f]{16})/end", page)
    assert len(addresses) == 2
    own = next(each for each in addresses if each in _digest(ada))
    other = next(each for each in addresses if each != own)

    assert bob.post(f"/account/sessions/{other}/end").status_code == 404, "the session of another user"
    assert ada.post("/account/sessions/%25/end").status_code == ada.post("/account/sessions/a/end").status_code == 404
    assert submit(ada, f"/account/sessions/{other}/end") == "The session was ended."
    assert (phone.get("/account").status_code, ada.get("/account").status_code) == (303, 200)
    visitor()
    assert submit(ada, "/account/sessions/end") == "All other sessions were ended."
    assert count(UserSession) == 2, "of ada and of bob"


def _digest(client: TestClient) -> str:
    from db.api_keys import digest

    return digest(client.cookies.get("aura_session") or "")


def test_a_key_has_no_account(web: TestClient):
    assert web.get("/account").status_code == 403


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/130.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown device"),
        ("x" * 1000, "x" * 40),
    ],
)
def test_the_device_of_a_user_agent(agent: str, device: str):
    assert device_of(agent) == device


def test_a_qr_code_contains_no_style_and_no_text_of_the_user():
    picture = account.qr_code("otpauth://totp/Aura:%3Cscript%3E?secret=JBSWY3DPEHPK3PXP&issuer=Aura")

    assert picture.startswith("<svg") and "style" not in picture and "script" not in picture
