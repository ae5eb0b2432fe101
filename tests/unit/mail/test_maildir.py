"""Maildir: mails move from new/ to cur/ after their transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aura.mail import IngestResult, ParsedMail, ingest
from aura.mail.maildir import NoMaildir, ingest_all
from tests.unit.mail.test_ingest import write
from tests.unit.mail.test_parse import mail

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return tmp_path / "Maildir"


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

    def crash(_mail: ParsedMail) -> IngestResult:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "_ingest", crash)
        with pytest.raises(RuntimeError):
            list(ingest_all(maildir))
    assert [each.outcome for _, each in ingest_all(maildir)] == ["ticket"]


def test_a_too_large_mail_is_flagged_and_stays_in_the_maildir(maildir: Path, configure: Callable[..., Any]):
    configure(AURA_MAIL_LIMIT="10000")
    (maildir / "new" / "1").write_bytes(write(text="x" * 20_000))

    [(_, result)] = ingest_all(maildir)

    assert "AURA_MAIL_LIMIT" in result.outcome
    assert (maildir / "cur" / "1:2,F").stat().st_size > 20_000


def test_a_folder_that_is_no_maildir_names_the_missing_folder(tmp_path: Path):
    with pytest.raises(NoMaildir, match="the folder new/ is missing"):
        list(ingest_all(tmp_path))
