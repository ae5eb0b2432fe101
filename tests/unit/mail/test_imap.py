"""A mailbox with mails that the server does not return, and a server that hangs up: the other mails are ingested."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from aura.mail import imap
from aura.mail.imap import Mailbox, MailServerUnavailable, watch
from aura.mail.imap_connection import modified_utf7

pytestmark = pytest.mark.usefixtures("sqlite")


class HungUp(Exception):
    """The server closes the connection."""


class Server:
    """Holds mails by UID; `behaviors` says what a fetch of a UID does instead: an answer, or `hang up` in the middle."""

    def __init__(self) -> None:
        self.mails = {
            uid: f"Message-ID: <{uid}@x>\r\nFrom: a@x\r\nSubject: {uid}\r\n\r\nhi\r\n".encode() for uid in (1, 2, 3)
        }
        self.behaviors: dict[int, str] = {}
        self.commands: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"imap://ada:secret@127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with suppress(OSError, HungUp), connection, connection.makefile("rwb") as stream:
                    stream.write(b"* OK ready\r\n")
                    stream.flush()
                    for line in stream:
                        tag, _, command = line.decode().strip().partition(" ")
                        self.commands.append(command)
                        self._answer(stream, tag, command)
                        stream.flush()

    def _answer(self, stream: Any, tag: str, command: str) -> None:
        end = "OK done"
        if command == "CAPABILITY":
            stream.write(b"* CAPABILITY IMAP4REV1 MOVE\r\n")
        elif command.startswith("UID SEARCH"):
            stream.write(f"* SEARCH {' '.join(map(str, self.mails))}\r\n".encode())
        elif command.startswith("UID FETCH"):
            uid = int(command.split()[2])
            if "SIZE" in command:
                stream.write(f"* 1 FETCH (UID {uid} RFC822.SIZE {len(self.mails[uid])})\r\n".encode())
            else:
                end = self._body(stream, uid)
        elif command.startswith("UID MOVE"):
            del self.mails[int(command.split()[2])]
        stream.write(f"{tag} {end}\r\n".encode())

    def _body(self, stream: Any, uid: int) -> str:
        behavior, raw = self.behaviors.get(uid, ""), self.mails[uid]
        if behavior == "nil":
            stream.write(f"* 1 FETCH (UID {uid} BODY[]<0> NIL)\r\n".encode())
            return "OK done"
        if behavior == "hang up":
            stream.write(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw[:10])
            stream.flush()
            raise HungUp
        if behavior:
            return behavior
        stream.write(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
        return "OK done"

    def fetches(self, uid: int) -> int:
        return sum(each.startswith(f"UID FETCH {uid} (BODY") for each in self.commands)

    def close(self) -> None:
        # ends the thread's accept(), which would go on with another server's socket once that has the same number
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def server(configure: Callable[..., Any]) -> Iterator[Server]:
    server = Server()
    configure(AURA_IMAP_URL=server.url)
    yield server
    server.close()


@pytest.mark.parametrize(
    "behavior",
    ["NO The requested message could not be converted to an RFC-822 compatible format.", "BAD Internal", "nil"],
)
def test_a_mail_that_cannot_be_fetched_stays_and_the_others_are_ingested(
    server: Server, behavior: str, monkeypatch: pytest.MonkeyPatch
):
    server.behaviors[2] = behavior
    with Mailbox(server.url) as mailbox:
        assert [uid for uid, _ in mailbox.ingest_all()] == ["1", "3"]
        assert list(server.mails) == [2]
        assert list(mailbox.ingest_all()) == []
        assert server.fetches(2) == 1, "it is not asked for every 15 seconds"
        # and once it can be fetched, it is ingested
        server.behaviors.clear()
        now = imap.time.monotonic()
        monkeypatch.setattr(imap.time, "monotonic", lambda: now + imap.RETRY_SKIPPED + 1)
        assert [uid for uid, _ in mailbox.ingest_all()] == ["2"]
    assert server.mails == {}


def test_a_temporary_refusal_of_a_mail_is_one_of_the_server(server: Server):
    server.behaviors[1] = "NO [UNAVAILABLE] later"
    with Mailbox(server.url) as mailbox, pytest.raises(MailServerUnavailable, match="temporarily"):
        list(mailbox.ingest_all())
    assert len(server.mails) == 3


def test_a_mail_that_ends_the_connection_is_tried_after_the_others(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imap, "MAX_BACKOFF", 0.01)
    server.behaviors[1] = "hang up"
    ingested = watch(server.url, every=0.01)
    assert [next(ingested)[0], next(ingested)[0]] == ["2", "3"]
    server.behaviors.clear()
    assert next(ingested)[0] == "1"
    ingested.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_mail_is_never_ingested_in_part(server: Server):
    server.behaviors[1] = "hang up"
    with pytest.raises(MailServerUnavailable), Mailbox(server.url) as mailbox:
        list(mailbox.ingest_all())
    assert len(server.mails) == 3


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("INBOX", "INBOX"),
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501, 5.1.3
        ("Entwürfe & mehr", "Entw&APw-rfe &- mehr"),
        ("Entw&APw-rfe", "Entw&APw-rfe"),
        ("😀", "&2D3eAA-"),
    ],
)
def test_folder_names_are_in_modified_utf_7(name: str, encoded: str):
    assert modified_utf7(name) == encoded


def test_a_folder_of_another_language_is_selected(server: Server):
    with Mailbox(f"{server.url}/Entw%C3%BCrfe"):
        pass
    assert 'SELECT "Entw&APw-rfe"' in server.commands
