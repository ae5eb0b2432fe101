"""`aura users`."""

from __future__ import annotations

import io

import pyotp
import pytest

from db import audit, reading, second_factor, transaction, users
from tests.commands import Run
from tests.unit.web.clients import PASSWORD, anonymous_client, log_in

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command reads the same password from stdin."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n{PASSWORD}\n"))


@pytest.mark.usefixtures("password")
def test_a_user_is_created_listed_disabled_and_enabled(run: Run):
    created = run("users", "create", "ada", "--role", "operator")
    assert created.out == "user ada created, with the role operator\n"
    assert PASSWORD not in created.out + created.err
    assert log_in(anonymous_client(), "ada").status_code == 200

    assert run("users", "disable", "ada").out == "user ada disabled\n"
    assert log_in(anonymous_client(), "ada").status_code == 401
    [row] = run("users", "list", "--format", "json").json()
    assert (row["name"], row["role"], row["disabled"]) == ("ada", "operator", True)
    assert run("users", "disable", "ada", "--undo").out == "user ada enabled\n"
    assert log_in(anonymous_client(), "ada").status_code == 200
    with reading() as session:
        actions = [row["action"] for row in audit.listing(session) if row["action"].startswith("user.")]
    assert actions == ["user.enable", "user.disable", "user.create"]


@pytest.mark.usefixtures("password")
def test_another_password_ends_the_sessions_of_the_user(run: Run, monkeypatch: pytest.MonkeyPatch):
    run("users", "create", "ada")
    client = anonymous_client()
    log_in(client, "ada")
    monkeypatch.setattr("sys.stdin", io.StringIO("another horse battery\r\n"))

    assert run("users", "password", "ada").out == "password of ada changed\n"

    assert log_in(anonymous_client(), "ada").status_code == 401
    assert log_in(anonymous_client(), "ada", "another horse battery").status_code == 200


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "ada", "--role", "king"], "king"),
        (["password", "nobody"], "nobody"),
        (["disable", "nobody"], "nobody"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("users", *arguments)

    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err
    assert run("users", "list").err == "No users. Create one: aura users create ada --role admin\n"


def test_a_login_link_is_printed_and_works_once(run: Run):
    link = run("users", "login-link").out.strip()
    assert link.startswith("http://127.0.0.1:8000/login?token=") and len(link.partition("=")[2]) == 43
    client = anonymous_client()

    assert client.get(link).status_code == 200
    assert client.get("/api/v1/session").json()["who"] == "user admin"
    assert anonymous_client().get(link).status_code == 401


@pytest.mark.usefixtures("password")
def test_a_login_link_without_the_first_user_needs_a_name(run: Run):
    run("users", "create", "ada")

    assert "no user 'admin'" in run("users", "login-link").err
    assert "/login?token=" in run("users", "login-link", "ada").out
    run("users", "disable", "ada")
    assert "disabled" in run("users", "login-link", "ada").err


@pytest.mark.usefixtures("password")
def test_a_second_factor_is_reset(run: Run):
    run("users", "create", "ada")
    with transaction() as session:
        user = users.find(session, "ada")
        assert user is not None
        second_factor.prepare(session, user.id)
        seed = (second_factor.pending(session, user.id) or ("", ""))[0]
        second_factor.confirm(session, user.id, pyotp.TOTP(seed).now())
    assert run("users", "list", "--format", "json").json()[0]["totp"] is True
    assert log_in(anonymous_client(), "ada").status_code == 401

    assert run("users", "reset-totp", "ada").out == "second factor of ada removed\n"
    assert log_in(anonymous_client(), "ada").status_code == 200
    assert run("users", "reset-totp", "nobody").err
