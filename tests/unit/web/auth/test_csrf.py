"""CSRF protection: tokens in headers and forms, requests of other sites."""

from __future__ import annotations

from aura.web.auth.csrf import CSRF_HEADER
from tests.unit.web.clients import create_user, log_in, remote_client


def test_a_form_sends_the_token_in_a_field():
    create_user("operator")
    web = remote_client()
    token = log_in(web, "operator").json()["csrf"]

    assert web.post("/api/v1/logout", data={"csrf": "wrong"}).status_code == 403
    assert web.post("/api/v1/logout", data={"csrf": token}).status_code == 204


def test_a_token_sent_by_another_site_is_refused():
    create_user("operator")
    web = remote_client()
    token = log_in(web, "operator").json()["csrf"]

    answer = web.post("/api/v1/logout", headers={CSRF_HEADER: token, "Origin": "https://attacker.example"})
    assert answer.status_code == 403
