"""Maildir: mails move from new/ to cur/ after their transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DataError

from aura.mail import IngestResult, ParsedMail, ingest
from aura.mail.maildir import NoMaildir, count_new, ingest_all, ingest_file
from db import inbound_mails
from tests.unit.mail.test_ingest import write
from tests.unit.mail.test_parse import mail

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return tmp_path / "Maildir"


def test_a_reply_needs_a_token_in_a_maildir_and_none_in_a_file_that_an_operator_chose(maildir: Path, tmp_path: Path):
    (maildir / "new" / "1.a").write_bytes(write())
    (maildir / "new" / "2.a").write_bytes(write(subject="Re: [Aura #1] VPN drops"))
    assert [result.outcome for _, result in ingest_all(maildir)] == ["ticket", "ticket"]

    (tmp_path / "reply.eml").write_bytes(write(subject="Re: [Aura #1] VPN drops", text="Now it works."))
    assert ingest_file(tmp_path / "reply.eml").outcome == "comment"
    (tmp_path / "other.eml").write_bytes(write("eve@example.com", "Re: [Aura #1] VPN drops"))
    assert ingest_file(tmp_path / "other.eml").outcome == "ticket"


def test_ingested_mails_move_to_cur(maildir: Path):
    (maildir / "new" / "1.a:2,").write_bytes(mail("plain"))
    (maildir / "new" / "2.b").write_bytes(mail("out_of_office"))
    (maildir / "new" / "sub").mkdir()

    assert [(name, result.outcome[:7]) for name, result in ingest_all(maildir)] == [
        ("1.a:2,", "ticket"),
        ("2.b", "ignored"),
    ]
    assert {path.name for path in (maildir / "cur").iterdir()} == {"1.a:2,S", "2.b:2,S"}
    assert list(ingest_all(maildir)) == []


def test_a_mail_with_a_failed_transaction_stays_in_new(maildir: Path, monkeypatch: pytest.MonkeyPatch):
    (maildir / "new" / "1").write_bytes(mail("plain"))

    def crash(_mail: ParsedMail, **_: Any) -> IngestResult:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "_ingest", crash)
        with pytest.raises(RuntimeError):
            list(ingest_all(maildir))
    assert [each.outcome for _, each in ingest_all(maildir)] == ["ticket"]


def test_a_mail_that_fails_alone_does_not_stop_the_others_of_its_batch(maildir: Path, monkeypatch: pytest.MonkeyPatch):
    for number in range(5):
        (maildir / "new" / f"{number}").write_bytes(write(f"p{number}@example.com"))
    real = inbound_mails.recent

    def reject(session: Any, sender: str, **options: Any) -> int:
        if sender == "p2@example.com":
            raise DataError("SELECT", {}, ValueError())
        return real(session, sender, **options)

    monkeypatch.setattr(inbound_mails, "recent", reject)

    outcomes = {name: result.outcome for name, result in ingest_all(maildir)}

    assert outcomes.pop("2") == "refused: rejected by the database: DataError"
    assert set(outcomes.values()) == {"ticket"}
    assert len(list((maildir / "cur").iterdir())) == 5


def test_a_maildir_is_read_completely_in_parts_the_oldest_first(maildir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aura.mail.maildir.LISTED", 3)
    monkeypatch.setattr("aura.mail.maildir.BATCH", 2)
    for number in range(9):
        path = maildir / "new" / f"{9 - number}"
        path.write_bytes(write(f"p{number}@example.com"))
        os.utime(path, (number, number))

    assert count_new(maildir) == 9
    assert [name for name, _ in ingest_all(maildir)] == [str(9 - number) for number in range(9)]
    assert count_new(maildir) == 0


def test_a_batch_ends_before_it_holds_too_many_bytes(maildir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aura.mail.maildir.BATCH_BYTES", 5000)
    sizes: list[int] = []
    real = ingest.ingest_batch
    monkeypatch.setattr("aura.mail.maildir.ingest_batch", lambda mails: sizes.append(len(mails)) or real(mails))
    for number in range(6):
        (maildir / "new" / f"{number}").write_bytes(write(f"p{number}@example.com", text="x" * 2000))

    assert len(list(ingest_all(maildir))) == 6
    assert sizes == [2, 2, 2]


def test_a_too_large_mail_is_flagged_and_stays_in_the_maildir(maildir: Path, configure: Callable[..., Any]):
    configure(AURA_MAIL_LIMIT="10000")
    (maildir / "new" / "1").write_bytes(write(text="x" * 20_000))

    [(_, result)] = ingest_all(maildir)

    assert "AURA_MAIL_LIMIT" in result.outcome
    assert (maildir / "cur" / "1:2,F").stat().st_size > 20_000


def test_a_folder_that_is_no_maildir_names_the_missing_folder(tmp_path: Path):
    with pytest.raises(NoMaildir, match="the folder new/ is missing"):
        list(ingest_all(tmp_path))
