"""The pages /login and /logout."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.unit.web.clients import PASSWORD, anonymous_client, create_user


@pytest.fixture
def browser(database: str) -> TestClient:
    """A browser without a session."""
    client = anonymous_client(Accept="text/html")
    client.follow_redirects = False
    return client


@pytest.mark.parametrize(
    ("to", "path"),
    [("/tickets?page=2", "/tickets?page=2"), ("//evil.example", "/"), ("https://evil.example/", "/"), ("/\\evil", "/")],
)
def test_a_login_leads_to_a_path_of_this_site_alone(browser: TestClient, to: str, path: str):
    create_user("viewer", "ada")
    answer = browser.post("/login", data={"name": "ada", "password": PASSWORD, "to": to})

    assert (answer.status_code, answer.headers["Location"]) == (303, path)


def test_a_failed_login_shows_the_form_with_the_name_and_without_the_password(browser: TestClient):
    create_user("viewer", "ada")
    answer = browser.post("/login", data={"name": "ada", "password": "hunter2hunter2", "to": "/jobs"})

    assert answer.status_code == 401
    assert 'value="ada"' in answer.text and "hunter2" not in answer.text
    assert 'value="/jobs"' in answer.text


def test_a_logout_leads_to_the_login(browser: TestClient):
    create_user("viewer", "ada")
    browser.post("/login", data={"name": "ada", "password": PASSWORD})
    session = browser.get("/api/v1/session").json()
    assert session["who"] == "user ada"
    token = session["csrf"]

    answer = browser.post("/logout", data={"csrf": token})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert browser.get("/api/v1/session").status_code == 401
