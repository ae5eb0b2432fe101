"""Login to an IMAP server with an access token, against a server of a few lines; Dovecot is in tests/integration."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from aura.mail.imap import Mailbox, MailServerUnavailable, watch
from aura.settings import SettingsError
from tests.oauth_server import TokenServer
from tests.receiver import PEM

#: What Exchange and Google send with a refused token.
CHALLENGE = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}').decode()


class Server:
    """An IMAP server that knows the tokens of `valid` (all, if it is None), and records the responses that it gets."""

    def __init__(self) -> None:
        self.mechanisms = "AUTH=XOAUTH2"
        self.valid: set[str] | None = None
        self.challenge, self.reply, self.select = CHALLENGE, "NO AUTHENTICATE failed.", "OK [READ-WRITE] done"
        self.responses: list[list[bytes]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"imap://desk%40example.com@127.0.0.1:{self.port}/INBOX"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with suppress(OSError), connection, connection.makefile("rwb") as stream:
                    self._answer(stream)

    def _answer(self, stream: Any) -> None:
        def send(line: str) -> None:
            stream.write(f"{line}\r\n".encode())
            stream.flush()

        send("* OK ready")
        for line in stream:
            tag, command, *_ = line.decode().split()
            if command == "CAPABILITY":
                send(f"* CAPABILITY IMAP4REV1 {self.mechanisms}")
                send(f"{tag} OK done")
            elif command == "AUTHENTICATE":
                self._authenticate(tag, stream, send)
            elif command == "SELECT":
                send(f"{tag} {self.select}")
            else:
                send("* SEARCH" if command == "UID" else "* OK still here")
                send(f"{tag} OK done")

    def _authenticate(self, tag: str, stream: Any, send: Callable[[str], None]) -> None:
        send("+ ")
        first = base64.b64decode(stream.readline())
        self.responses.append([first])
        token = first.rpartition(b"Bearer ")[2].rstrip(b"\x01").decode()
        if self.valid is None or token in self.valid:
            send(f"{tag} OK authenticated")
            return
        if self.challenge:
            send(f"+ {self.challenge}")
            self.responses[-1].append(stream.readline())
        send(f"{tag} {self.reply}")

    def close(self) -> None:
        # ends the thread's accept(), which would go on with another server's socket once that has the same number
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def tokens(server: Server, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with TokenServer() as tokens:
        client = tokens.add_client("desk@example.com")
        configure(
            AURA_IMAP_URL=server.url,
            AURA_IMAP_OAUTH="custom",
            AURA_OAUTH_CLIENT_ID=client.id,
            AURA_OAUTH_CLIENT_SECRET=client.secret,
            AURA_OAUTH_TOKEN_URL=tokens.token_url,
        )
        yield tokens


def open_mailbox(server: Server) -> None:
    with Mailbox(server.url):
        pass


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    ("mechanisms", "start"),
    [
        ("AUTH=XOAUTH2", b"user=desk@example.com\x01auth=Bearer "),
        ("AUTH=PLAIN AUTH=OAUTHBEARER", b"n,a=desk@example.com,\x01host=127.0.0.1\x01port="),
    ],
)
def test_the_mechanism_is_one_that_the_server_offers(server: Server, mechanisms: str, start: bytes):
    server.mechanisms = mechanisms
    open_mailbox(server)
    [[response]] = server.responses
    assert response.startswith(start)
    assert response.endswith(b"\x01\x01")


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    ("mechanisms", "last"), [("AUTH=XOAUTH2", b"\r\n"), ("AUTH=OAUTHBEARER", base64.b64encode(b"\x01") + b"\r\n")]
)
def test_the_challenge_of_a_refusal_is_answered_and_its_status_is_named(server: Server, mechanisms: str, last: bytes):
    server.mechanisms, server.valid = mechanisms, set()
    with pytest.raises(SettingsError, match=r"refused the access token for desk@example.com \(401\)"):
        open_mailbox(server)
    assert [each[1] for each in server.responses] == [last], "a new token is not asked for again"


def test_a_cached_token_that_is_refused_is_renewed_once(server: Server, tokens: TokenServer):
    open_mailbox(server)
    server.valid = set()
    # the server forgets the first token; the next one is valid
    tokens.state.reply = lambda path, form: server.valid.add("second") or (200, {"access_token": "second"})  # type: ignore[union-attr]
    open_mailbox(server)
    assert [len(each) for each in server.responses] == [1, 2, 1]
    # and when that is refused as well, it ends
    server.valid = set()
    tokens.state.reply = lambda path, form: (200, {"access_token": "third"})
    with pytest.raises(SettingsError, match="refused the access token"):
        open_mailbox(server)
    assert [len(each) for each in server.responses] == [1, 2, 1, 2, 2]


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize("challenge", ["", "!!!", base64.b64encode(b"[1]").decode()])
def test_a_refusal_without_a_proper_challenge_is_a_refusal(server: Server, challenge: str):
    server.valid, server.challenge = set(), challenge
    with pytest.raises(SettingsError, match=r"refused the access token for desk@example\.com: check"):
        open_mailbox(server)


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize("reply", ["NO [UNAVAILABLE] later", "NO [INUSE] busy"])
def test_a_temporary_refusal_is_no_wrong_setting(server: Server, reply: str):
    server.valid, server.reply = set(), reply
    with pytest.raises(MailServerUnavailable, match="temporarily"):
        open_mailbox(server)


@pytest.mark.usefixtures("tokens")
def test_a_server_without_oauth_is_named(server: Server):
    server.mechanisms = "AUTH=PLAIN"
    with pytest.raises(SettingsError, match=r"AURA_IMAP_OAUTH: .* offers neither XOAUTH2 nor OAUTHBEARER"):
        open_mailbox(server)
    assert server.responses == []


@pytest.mark.usefixtures("tokens")
def test_a_mailbox_that_exchange_does_not_open_is_a_refusal(server: Server):
    server.select = "BAD User is authenticated but not connected."
    with pytest.raises(SettingsError, match=r"does not open the mailbox desk@example\.com"):
        open_mailbox(server)


def test_a_token_server_that_is_down_is_temporary(server: Server, tokens: TokenServer):
    tokens.close()
    with pytest.raises(MailServerUnavailable, match="token server"):
        open_mailbox(server)
    assert server.responses == []


def test_a_refused_token_request_is_permanent_and_hides_the_secret(server: Server, tokens: TokenServer):
    tokens.state.reply = lambda path, form: (400, {"error": "invalid_client", "error_description": "hunter2"})
    with pytest.raises(SettingsError, match="AURA_OAUTH_CLIENT_SECRET") as caught:
        open_mailbox(server)
    assert "hunter2" not in str(caught.value)


def test_a_connection_ends_with_its_token_and_reconnecting_is_no_failure(
    server: Server, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
):
    class Enough(Exception):
        pass

    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise Enough

    monkeypatch.setattr("aura.mail.imap.time.sleep", sleep)
    tokens.state.lifetime = 0
    with pytest.raises(Enough):
        list(watch(server.url, every=5))
    assert len(server.responses) == 3
    assert pauses == [5, 5, 5], "no backoff"
    tokens.state.lifetime = 3600
    pauses.clear()
    with pytest.raises(Enough):
        list(watch(server.url, every=5))
    assert len(server.responses) == 4


def test_the_pause_follows_the_retry_after_of_the_token_server(
    server: Server, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
):
    class Enough(Exception):
        pass

    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise Enough

    monkeypatch.setattr("aura.mail.imap.time.sleep", sleep)
    real = tokens.app.make_response

    def with_retry_after(answer: Any) -> Any:
        response = real(answer)
        response.headers["Retry-After"] = "120"
        return response

    monkeypatch.setattr(tokens.app, "make_response", with_retry_after)
    tokens.state.reply = lambda path, form: (429, {})
    with pytest.raises(Enough):
        list(watch(server.url, every=5))
    assert pauses == [120]
