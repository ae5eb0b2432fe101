"""The HTTP session of the token requests."""

from __future__ import annotations

import socket

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from aura.oauth import TokenRefused, TokenServerUnavailable, http
from aura.oauth.http import TokenRequests, check_url
from tests.oauth_server import TokenServer
from tests.services import free_port


def answer(httpserver: HTTPServer, response: Response) -> str:
    httpserver.expect_request("/token").respond_with_response(response)
    return httpserver.url_for("/token").replace("localhost", "127.0.0.1")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_an_outage_is_temporary_and_says_when_to_try_again(httpserver: HTTPServer, status: int):
    url = answer(httpserver, Response("{}", status, {"Retry-After": "17"}))
    with TokenRequests() as session, pytest.raises(TokenServerUnavailable, match=str(status)) as caught:
        session.post(url, data={"client_secret": "hunter2"})
    assert caught.value.retry_after == 17


def test_an_absent_server_is_temporary_and_its_error_hides_the_request():
    with TokenRequests() as session, pytest.raises(TokenServerUnavailable, match="ConnectionError") as caught:
        session.post(f"http://127.0.0.1:{free_port()}/token?secret=hunter2", data={"client_secret": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_silent_server_is_temporary(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "TIMEOUT", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        TokenRequests() as session,
        pytest.raises(TokenServerUnavailable, match="ReadTimeout"),
    ):
        session.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=30)


def test_secrets_do_not_follow_a_redirect(httpserver: HTTPServer):
    httpserver.expect_request("/elsewhere").respond_with_data("{}")
    url = answer(httpserver, Response("", 307, {"Location": "/elsewhere"}))
    with TokenRequests() as session, pytest.raises(TokenRefused, match="no token server"):
        session.post(url, data={"client_secret": "hunter2"})
    assert [request.path for request, _ in httpserver.log] == ["/token"]


@pytest.mark.parametrize("body", ["", "<html>Sign in to the network</html>", "[]"])
def test_an_answer_that_is_no_json_object_comes_from_no_token_server(httpserver: HTTPServer, body: str):
    with TokenRequests() as session, pytest.raises(TokenRefused, match="no token server"):
        session.post(answer(httpserver, Response(body, 200)))


@pytest.mark.parametrize("url", ["http://login.example.com/token", "ftp://127.0.0.1/", "/token", ""])
def test_a_token_server_elsewhere_needs_tls(url: str):
    with pytest.raises(TokenRefused, match="https://"):
        check_url(url)
    with TokenRequests() as session, pytest.raises(TokenRefused, match="https://"):
        session.post(url)


def test_a_certificate_is_trusted_by_ssl_cert_file_only(server: TokenServer, monkeypatch: pytest.MonkeyPatch):
    discovery = f"{server.authority}/contoso/v2.0/.well-known/openid-configuration"
    with TokenRequests() as session:
        assert session.get(discovery).json()["issuer"]
    monkeypatch.delenv("SSL_CERT_FILE")
    with TokenRequests() as session, pytest.raises(TokenRefused, match="SSL_CERT_FILE"):
        session.get(discovery)
