"""The session over the API: who sends a request."""

from __future__ import annotations

import pytest

from tests.unit.web.clients import PASSWORD, create_key, create_user, local_client, log_in, remote_client

pytestmark = pytest.mark.usefixtures("sqlite")


def test_the_session_of_a_program_has_its_scopes_and_no_csrf_token():
    secret = create_key("read", "submit", name="form")
    shown = remote_client(Authorization=f"Bearer {secret}").get("/api/v1/session").json()

    assert shown["scopes"] == ["read", "submit"]
    assert "form" in shown["who"] and secret not in str(shown)
    assert shown["csrf"] == ""


def test_the_session_of_a_user_ends_with_the_logout():
    create_user("viewer", "ada")
    client = remote_client()
    begun = log_in(client, "ada").json()
    assert (begun["user"], begun["role"]) == ("ada", "viewer")
    assert client.get("/api/v1/session").json()["csrf"] == begun["csrf"]

    assert client.post("/api/v1/logout", headers={"X-CSRF-Token": begun["csrf"]}).status_code == 204
    assert client.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize(
    "body", [{}, {"name": "ada"}, {"name": "", "password": PASSWORD}, {"name": "ada", "password": 7}]
)
def test_incomplete_credentials_are_refused_without_repeating_them(body: dict[str, object]):
    answer = local_client().post("/api/v1/login", json=body)

    assert answer.status_code == 422
    assert PASSWORD not in answer.text
