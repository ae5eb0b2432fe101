"""IMAP connections: long lines are read, and imaplib stays as it is."""

from __future__ import annotations

import imaplib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from aura.mail import imap_connection
from aura.mail.imap import Mailbox, MailServerUnavailable
from tests.conftest import ROOT

UIDS = b" ".join(b"%d" % number for number in range(1_000_000, 1_200_000))


class Server:
    """Answers the commands of one connection after the other; SEARCH finds more mails than one line of imaplib holds."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"imap://ada:secret@127.0.0.1:{self.socket.getsockname()[1]}/INBOX"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # the client, or `close`, ends the connection
            while True:
                connection, _ = self.socket.accept()
                with connection, connection.makefile("rwb") as stream:
                    self._answer(stream)

    def _answer(self, stream: Any) -> None:
        stream.write(b"* OK ready\r\n")
        stream.flush()
        for line in stream:
            tag, command, *_ = line.decode().split()
            if command == "CAPABILITY":
                stream.write(b"* CAPABILITY IMAP4REV1\r\n")
            if command == "UID":
                stream.write(b"* SEARCH " + UIDS + b"\r\n")
            stream.write(f"{tag} OK done\r\n".encode())
            stream.flush()

    def close(self) -> None:
        # ends the thread's accept(), which would go on with another server's socket once that has the same number
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_a_search_result_longer_than_the_limit_of_imaplib_is_read(server: Server) -> None:
    assert len(UIDS) > imaplib._MAXLINE  # type: ignore[attr-defined]
    with Mailbox(server.url) as mailbox:
        [uids] = mailbox._command("UID", "SEARCH", "UNDELETED")
    assert uids == UIDS


def test_a_line_above_the_limit_ends_the_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_connection, "MAX_LINE", 1_000)
    with pytest.raises(MailServerUnavailable, match="a line of more than 1000 bytes"), Mailbox(server.url) as mailbox:
        list(mailbox.ingest_all())


def test_importing_the_module_does_not_change_imaplib() -> None:
    script = "import imaplib; before = imaplib._MAXLINE; import aura.mail.imap; assert imaplib._MAXLINE == before"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
