"""`aura users`."""

from __future__ import annotations

import io

import pytest

from db import audit, reading
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
