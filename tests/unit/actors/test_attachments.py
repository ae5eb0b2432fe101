"""Moving attachments to the configured storage, and deleting them there."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from actors import attachments as actor
from actors import retention as retention_actor
from aura.attachments.content import read_content
from aura.attachments.storage import ContentMissing, key_of
from aura.attachments.storage.folder import FolderStorage
from aura.desk import attachments as desk
from db import attachments, reading, transaction
from db.attachments import StoredAttachment
from db.models import Attachment, AttachmentChunk, Job, Ticket
from db.new_tickets import NewTicket
from db.tickets import create
from pipelines.scheduled_jobs import enqueue_retention
from tests.embedded import CrashBeforeCommit, Hand, all_jobs, count, letters, move
from tests.files import LOG

pytestmark = pytest.mark.usefixtures("database")

LONG = LOG * 2_000  # several chunks


@pytest.fixture
def folder(configure: Callable[..., Any], tmp_path: Path) -> Path:
    configure(AURA_ATTACHMENTS="folder", AURA_ATTACHMENTS_FOLDER=str(tmp_path / "attachments"))
    return tmp_path / "attachments"


def attach(content: bytes = LONG, name: str = "trace.log") -> int:
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title="VPN drops"), {})])
        return desk.upload(session, ticket, io.BytesIO(content), name)[0]


def stored(number: int) -> StoredAttachment:
    with reading() as session:
        return attachments.by_ids(session, [number])[0]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_content_moves_to_the_folder_and_stays_readable(folder: Path, hand: Hand):
    number = attach()
    assert b"".join(read_content(stored(number))) == LONG

    hand.run()

    moved = stored(number)
    assert (moved.storage, count(AttachmentChunk), count(Job)) == ("folder", 0, 0)
    assert (folder / key_of(moved)).read_bytes() == LONG
    assert b"".join(read_content(moved)) == LONG


def test_a_content_stays_in_the_database_by_default(hand: Hand):
    number = attach()

    assert all_jobs() == []
    actor.move_attachment.send(number)
    hand.run()

    assert (stored(number).storage, letters()) == ("database", [])


def test_a_storage_that_is_down_delays_the_move_and_nothing_else(folder: Path, hand: Hand):
    folder.write_text("not mounted")
    number = attach()

    hand.run()

    assert (stored(number).storage, [job.attempts for job in all_jobs()]) == ("database", [1])
    assert b"".join(read_content(stored(number))) == LONG
    folder.unlink()
    move(Job, due_at=-1)
    hand.run()
    assert (stored(number).storage, all_jobs()) == ("folder", [])


def test_a_crash_after_the_write_repeats_it_under_the_same_key(
    folder: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch
):
    number = attach()
    mark_moved = attachments.mark_moved
    crashes = [True]

    def crash(*what: Any) -> None:
        mark_moved(*what)
        if crashes.pop() if crashes else False:
            raise CrashBeforeCommit

    monkeypatch.setattr(attachments, "mark_moved", crash)
    hand.run()
    assert stored(number).storage == "database"
    assert len(files(folder)) == 1

    move(Job, due_at=-1)
    hand.run()

    assert stored(number).storage == "folder"
    assert b"".join(read_content(stored(number))) == LONG
    assert len(files(folder)) == 1


def test_a_content_that_moves_while_it_is_read_is_read_to_its_end(folder: Path, hand: Hand):
    number = attach()
    parts = read_content(stored(number))
    first = next(parts)

    hand.run()

    assert stored(number).storage == "folder"
    assert first + b"".join(parts) == LONG


def test_a_content_that_is_deleted_while_it_is_read_is_an_error():
    number = attach()
    parts = read_content(stored(number))
    next(parts)
    with transaction() as session:
        session.delete(session.get_one(Attachment, number))

    with pytest.raises(ContentMissing):
        list(parts)


def test_an_attachment_that_is_deleted_before_its_move_is_no_failure(folder: Path, hand: Hand):
    number = attach()
    with transaction() as session:
        session.delete(session.get_one(Attachment, number))

    hand.run()

    assert (letters(), all_jobs(), files(folder)) == ([], [], [])


def test_a_row_that_is_deleted_during_its_move_leaves_no_file(
    folder: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch
):
    number = attach()
    write = FolderStorage.write

    def write_slowly(*arguments: Any) -> None:
        write(*arguments)
        with transaction() as session:
            session.delete(session.get_one(Attachment, number))

    monkeypatch.setattr(FolderStorage, "write", write_slowly)
    hand.run()

    assert (count(Attachment), files(folder), all_jobs(), letters()) == (0, [], [], [])


def test_a_content_that_moves_during_retention_stays_with_its_row_until_the_next_run(folder: Path, hand: Hand):
    number = attach()
    move(Attachment, created_at=-366 * 86_400)
    rule = retention_actor._prepared(retention_actor.rules()["attachments"])
    assert not isinstance(rule, Exception)
    hand.run()  # moves the content

    with transaction() as session:
        assert retention_actor.retention.delete_batch(session, rule) == 0
    assert (stored(number).storage, len(files(folder))) == ("folder", 1)

    enqueue_retention()
    hand.run()
    assert (count(Attachment), files(folder)) == (0, [])


def test_retention_deletes_the_file_of_a_move_that_a_crash_interrupted(folder: Path, hand: Hand):
    number = attach()
    FolderStorage(folder).write(key_of(stored(number)), [LONG])
    move(Job, due_at=86_400)
    move(Attachment, created_at=-366 * 86_400)

    enqueue_retention()
    hand.run()

    assert (count(Attachment), files(folder)) == (0, [])


def test_retention_waits_for_a_folder_that_is_not_mounted(folder: Path, hand: Hand):
    attach()
    hand.run()
    move(Attachment, created_at=-366 * 86_400)
    folder.rename(folder.with_name("elsewhere"))

    enqueue_retention()
    hand.run()

    assert count(Attachment) == 1, "its file exists, and nothing else would ever delete it"
    folder.with_name("elsewhere").rename(folder)
    move(Job, due_at=-1)
    hand.run()
    assert (count(Attachment), files(folder)) == (0, [])


@pytest.mark.parametrize("how", ["old", "ticket deleted"])
def test_retention_deletes_the_file_and_the_row(how: str, folder: Path, hand: Hand):
    attach()
    attach(name="database.log")
    hand.run()
    young = attach(name="young.log")
    hand.run()
    with transaction() as session:
        expired = update(Attachment).where(Attachment.id != young)
        if how == "old":
            session.execute(expired.values(created_at=attachments.from_now(-366 * 86_400)))
        else:
            session.query(Ticket).where(Ticket.id != stored(young).ticket_id).delete()

    enqueue_retention()
    hand.run()

    assert (count(Attachment), [path.name for path in files(folder)]) == (1, [key_of(stored(young)).split("/")[1]])
    assert letters() == []


def test_retention_works_in_batches(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    for number in range(5):
        attach(name=f"{number}.log")
    move(Attachment, created_at=-366 * 86_400)
    monkeypatch.setattr(retention_actor.retention, "ATTACHMENT_BATCH", 2)
    monkeypatch.setattr(retention_actor, "BATCH_INTERVAL", 0.0)

    enqueue_retention()
    hand.run()

    assert (count(Attachment), count(AttachmentChunk)) == (0, 0)


def test_a_row_outlives_a_file_that_cannot_be_deleted(folder: Path, hand: Hand, configure: Callable[..., Any]):
    number = attach()
    hand.run()
    move(Attachment, created_at=-366 * 86_400)
    path = folder / key_of(stored(number))
    path.unlink()
    path.mkdir()  # a folder cannot be unlinked

    enqueue_retention()
    hand.run()

    assert count(Attachment) == 1
    assert [(job.actor, job.key) for job in all_jobs()] == [("delete_expired", "attachments")]
