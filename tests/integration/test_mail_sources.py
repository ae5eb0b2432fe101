"""Every source of mails, with a real IMAP server and real processes: the same mail is one ticket, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from aura.mail.imap import Mailbox, watch
from aura.notifications.signatures import new_secret, sign
from db import reading, transaction
from db.models import InboundMail, Ticket
from tests.commands import Run
from tests.conftest import ROOT, wait_until
from tests.embedded import count
from tests.receiver import PEM
from tests.services import Dovecot
from tests.unit.mail.helpers import answering

MAILS = 200

pytestmark = pytest.mark.usefixtures("sqlite")


def mail(number: int = 0, text: str = "It fails.", **headers: str) -> bytes:
    lines = {"From": f"p{number}@example.com", "Subject": f"VPN {number}", "Message-ID": f"<{number}@example.com>"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + text.encode() + b"\r\n"


def titles() -> list[str]:
    with reading() as session:
        return sorted(session.scalars(select(Ticket.title)))


class Inbox:
    """A mailbox of its own on the IMAP server."""

    def __init__(self, dovecot: Dovecot) -> None:
        self.server, self.user = dovecot, f"desk-{uuid.uuid4().hex[:8]}"
        self.url = dovecot.mailbox_url(self.user)

    def deliver(self, *mails: bytes) -> None:
        self.server.deliver(self.user, {uuid.uuid4().hex: raw for raw in mails})

    def folders(self) -> dict[str, int]:
        """Return how many mails wait, are done and were refused."""
        return {name: len(self.server.folder(self.user, name)) for name in ("", "Aura.done", "Aura.refused")}


@pytest.fixture
def inbox(dovecot: Dovecot, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Inbox:
    inbox = Inbox(dovecot.start())
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    configure(AURA_IMAP_URL=inbox.url)
    return inbox


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return tmp_path / "Maildir"


def test_the_same_mail_from_each_source_is_one_ticket(
    inbox: Inbox, maildir: Path, tmp_path: Path, run: Run, configure: Callable[..., Any]
):
    raw, secret = mail(), new_secret()
    inbox.deliver(raw)
    (maildir / "new" / "1").write_bytes(raw)
    (tmp_path / "a.eml").write_bytes(raw)
    configure(AURA_MAIL_WEBHOOK_SECRET=secret)

    fetched = [
        run("mail", "fetch", "--once"),
        run("mail", "import", maildir, "--once"),
        run("mail", "import", tmp_path / "a.eml", tmp_path / "a.eml"),
    ]
    from aura.web.app import make_app

    headers = {"Content-Type": "message/rfc822", **sign([secret], "1", raw)}
    posted = TestClient(make_app()).post("/api/v1/mail", content=raw, headers=headers)

    assert [each.code for each in fetched] == [0, 0, 0]
    lines = [line for each in fetched for line in each.out.splitlines()]
    assert [line.partition(": ")[2] for line in lines] == ["ticket 1", *["ticket 1 (duplicate)"] * 3]
    assert (posted.status_code, posted.json()["ticket_id"], posted.json()["duplicate"]) == (202, 1, True)
    assert (count(InboundMail), count(Ticket)) == (1, 1)
    assert inbox.folders() == {"": 0, "Aura.done": 1, "Aura.refused": 0}
    assert list((maildir / "new").iterdir()) == []


def test_mails_of_a_mailbox_become_tickets_and_comments_and_too_large_mails_are_moved(
    inbox: Inbox, run: Run, configure: Callable[..., Any]
):
    configure(AURA_MAIL_LIMIT="10000")
    inbox.deliver(mail(0))
    assert run("mail", "fetch", "--once").out.endswith(": ticket 1\n")
    reply = mail(1, "Since today.", **answering(1, "p0@example.com"), From="p0@example.com")
    inbox.deliver(reply, mail(2, "x" * 20_000), mail(3, Auto_Submitted="auto-replied"))

    result = run("mail", "fetch", "--once")

    became = sorted(line.partition(": ")[2].partition(":")[0] for line in result.out.splitlines())
    assert became == ["comment on ticket 1", "ignored", "refused"]
    assert inbox.folders() == {"": 0, "Aura.done": 3, "Aura.refused": 1}


def test_a_login_that_is_refused_is_one_line_without_the_password(
    inbox: Inbox, run: Run, configure: Callable[..., Any]
):
    configure(AURA_IMAP_URL=inbox.url.replace("let", "not"))

    result = run("mail", "fetch", "--once")

    assert (result.code, result.out) == (2, "")
    assert f"refused the login of {inbox.user}" in result.err
    assert "me@in" not in result.err


def test_a_crash_between_commit_and_move_offers_the_mail_again_and_it_is_known(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
):
    class Crash(Exception):
        pass

    def crash(*_: Any) -> None:
        raise Crash

    inbox.deliver(mail())
    with monkeypatch.context() as patch:
        patch.setattr(Mailbox, "_move", crash)
        with pytest.raises(Crash):
            list(watch(inbox.url, 1, once=True))
    assert (count(Ticket), inbox.folders()[""]) == (1, 1)

    assert [result.duplicate for _, result in watch(inbox.url, 1, once=True)] == [True]
    assert (count(Ticket), inbox.folders()[""]) == (1, 0)


def test_a_mail_server_that_went_away_is_found_again(inbox: Inbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aura.mail.imap.MAX_BACKOFF", 0.1)
    inbox.deliver(mail(0))
    taken = watch(inbox.url, every=0.05)
    assert next(taken)[1].ticket_id == 1

    inbox.server.kill()
    inbox.deliver(mail(1))
    inbox.server.start()

    assert next(taken)[1].ticket_id == 2


@pytest.fixture
def started(sqlite: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """A function that starts `aura` with arguments as a process."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "aura", *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def take_long_after(mails: int) -> None:
    """Have SQLite take about a tenth of a second to store each mail beyond so many: time to kill the one that stores it."""
    with transaction() as session:
        session.execute(text("DROP TRIGGER IF EXISTS takes_long"))
        session.execute(
            text(
                f"""CREATE TRIGGER takes_long BEFORE INSERT ON inbound_mails
                WHEN (SELECT count(*) FROM inbound_mails) >= {mails}
                BEGIN SELECT count(*) FROM (
                    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 300000) SELECT n FROM numbers
                ); END"""
            )
        )


@pytest.mark.parametrize("source", ["imap", "maildir"])
def test_a_killed_intake_loses_no_mail_and_takes_none_twice(
    source: str, inbox: Inbox, maildir: Path, started: Callable[..., subprocess.Popen[bytes]], run: Run
):
    mails = [mail(number) for number in range(MAILS)]
    inbox.deliver(*mails)
    for number, raw in enumerate(mails):
        (maildir / "new" / f"{number}").write_bytes(raw)
    take_long_after(MAILS // 4)
    command = ["mail", *(["fetch"] if source == "imap" else ["import", maildir]), "--once"]

    process = started(*command)
    wait_until(lambda: count(InboundMail) >= MAILS // 4, timeout=120, message="it is among the mails", poll=0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = count(InboundMail)
    assert before < MAILS
    take_long_after(MAILS)

    assert run(*command).code == 0
    assert titles() == sorted(f"VPN {number}" for number in range(MAILS))
    assert count(InboundMail) == MAILS
    waiting = inbox.folders()[""] if source == "imap" else len(list((maildir / "new").iterdir()))
    assert waiting == 0
