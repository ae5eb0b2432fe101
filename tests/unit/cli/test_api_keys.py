"""`aura api-keys`."""

from __future__ import annotations

import pytest

from db import api_keys, audit, reading
from tests.commands import Run

pytestmark = pytest.mark.usefixtures("sqlite")


def test_an_api_key_is_printed_once_listed_and_revoked(run: Run):
    created = run("api-keys", "create", "intranet-form", "--scope", "submit", "--scope", "read", "--expires", "90d")
    secret = created.out.strip()
    assert "shown only once" in created.err and secret not in created.err
    with reading() as session:
        found = api_keys.find(session, secret)
    assert found is not None

    [row] = run("api-keys", "list", "--format", "json").json()
    assert (row["name"], sorted(row["scopes"]), row["state"]) == ("intranet-form", ["read", "submit"], "live")
    assert row["expires_at"] is not None
    assert secret not in run("api-keys", "list").out
    assert run("api-keys", "revoke", row["id"]).out == f"API key {row['id']} of intranet-form revoked\n"

    assert [row["state"] for row in run("api-keys", "list", "--format", "json").json()] == ["revoked"]
    with reading() as session:
        assert [row["action"] for row in audit.listing(session)] == ["key.revoke", "key.create"]


def test_a_second_key_of_a_name_says_that_the_first_stays_valid(run: Run):
    assert "stays valid" not in run("api-keys", "create", "form", "--scope", "submit").err
    assert "stays valid" in run("api-keys", "create", "form", "--scope", "submit").err
    third = run("api-keys", "create", "form", "--scope", "submit")
    assert (third.code, "revoke one of them first" in third.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "form", "--scope", "everything"], "scopes: must be one or more of read, submit, operate, admin"),
        (["revoke", "99"], "99"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("api-keys", *arguments)

    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err
    assert run("api-keys", "list").err.startswith("No API keys. Create one: aura api-keys create")
