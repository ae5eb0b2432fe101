"""`aura tickets attachments`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aura.mail import ingest_mail
from db import transaction
from db.models import Attachment
from tests.commands import Run
from tests.files import LOG, mail_with, png

pytestmark = pytest.mark.usefixtures("sqlite")


def test_attachments_are_listed(run: Run):
    ingest_mail(mail_with(("screenshot.png", png()), ("trace.log", LOG)))

    listed = run("tickets", "attachments", 1)

    assert listed.code == 0 and "screenshot.png" in listed.out and "text/plain" in listed.out
    rows = run("tickets", "attachments", 1, "--format", "json").json()
    assert [(row["name"], row["size"]) for row in rows] == [("screenshot.png", len(png())), ("trace.log", len(LOG))]


def test_attachments_are_saved_and_no_file_is_replaced(run: Run, tmp_path: Path):
    ingest_mail(mail_with(("trace.log", LOG), ("trace.log", b"second"), ("screenshot.png", png())))
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "trace.log").write_bytes(b"mine")
    (folder / "screenshot.png").symlink_to(tmp_path / "outside.png")

    saved = run("tickets", "attachments", 1, "--save", folder)

    assert saved.out.splitlines() == [
        str(folder / name) for name in ("trace (2).log", "trace (3).log", "screenshot (2).png")
    ]
    assert (folder / "trace.log").read_bytes() == b"mine"
    assert (folder / "trace (2).log").read_bytes() == LOG
    assert (folder / "screenshot (2).png").read_bytes() == png()
    assert not (tmp_path / "outside.png").exists()


def test_one_attachment_is_saved_by_its_number(run: Run, tmp_path: Path):
    ingest_mail(mail_with(("trace.log", LOG), ("screenshot.png", png())))

    saved = run("tickets", "attachments", 1, "--number", 2, "--save", tmp_path / "new" / "folder")

    assert saved.out.splitlines() == [str(tmp_path / "new/folder/screenshot.png")]
    assert run("tickets", "attachments", 1, "--number", 3).code == 1


@pytest.mark.parametrize("name", ["../../escaped.log", "/tmp/escaped.log", r"..\escaped.log"])
def test_a_name_in_the_table_cannot_leave_the_folder(run: Run, tmp_path: Path, name: str):
    """A row is safe already; a changed row must not be a way out."""
    ingest_mail(mail_with(("trace.log", LOG)))
    with transaction() as session:
        session.get_one(Attachment, 1).name = name

    run("tickets", "attachments", 1, "--save", tmp_path / "a" / "b")

    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.log")] == [Path("a/b/escaped.log")]


def test_a_file_that_is_not_stored_is_named_with_the_reason(
    run: Run, configure: Callable[..., Any], sqlite: str, tmp_path: Path
):
    configure(DATABASE_URL=sqlite, AURA_ATTACHMENT_LIMIT="10")
    ingest_mail(mail_with(("trace.log", LOG), ("small.log", b"small")))

    saved = run("tickets", "attachments", 1, "--save", tmp_path / "files")

    assert "trace.log is not stored: larger than 10 bytes" in saved.err
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["small.log"]


def test_an_unknown_ticket_is_an_error(run: Run):
    result = run("tickets", "attachments", 9)

    assert result.code == 1 and "no ticket 9" in result.err


def test_the_timeline_names_attachments_in_words(run: Run):
    ingest_mail(mail_with(("trace.log", LOG)))

    shown = run("tickets", "show", 1).out

    assert f"trace.log ({len(LOG)} B)" in " ".join(shown.split()) and "{'name'" not in shown
