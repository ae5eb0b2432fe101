"""CSRF protection: tokens in headers and forms, requests of other sites."""

from __future__ import annotations

from typing import Any

import pytest

from aura.web.auth.csrf import CSRF_HEADER
from tests.unit.web.clients import PASSWORD, create_user, log_in, remote_client


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


def test_the_origin_of_the_base_url_is_this_site_behind_a_proxy_with_another_host(configure: Any):
    create_user("operator")
    headers = {"Host": "127.0.0.1:8000", "Origin": "https://desk.example.com"}
    body = {"name": "operator", "password": PASSWORD}

    refused = remote_client().post("/api/v1/login", json=body, headers=headers)
    assert refused.status_code == 403 and "AURA_BASE_URL" in refused.text
    configure(AURA_BASE_URL="https://desk.example.com")
    assert (
        remote_client(url="http://127.0.0.1:8000").post("/api/v1/login", json=body, headers=headers).status_code == 200
    )


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "//", "http://attacker.example\\@aura.example.com"]
)
def test_an_odd_origin_is_another_site(origin: str):
    create_user("operator")
    body = {"name": "operator", "password": PASSWORD}

    assert remote_client().post("/api/v1/login", json=body, headers={"Origin": origin}).status_code == 403
