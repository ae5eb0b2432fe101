"""Attachments in an S3-compatible store, on a real server: OpenStack Swift with its S3 API."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from aura.attachments.content import read_content
from aura.attachments.storage import ContentMissing, StorageUnavailable, key_of, make_storage, probe
from aura.desk import attachments as desk
from aura.web.health import check_attachments
from db import attachments, reading, transaction
from db.models import AttachmentChunk, Job
from db.new_tickets import NewTicket
from tests.embedded import Hand, count
from tests.swift import Swift
from tests.unit.db.helpers import create

#: More than the chunk of a multipart upload.
CONTENT = bytes(range(256)) * 40_000

pytestmark = pytest.mark.usefixtures("database")


def attach(ticket_id: int, content: bytes, name: str = "trace.log") -> int:
    with transaction() as session:
        return desk.upload(session, ticket_id, io.BytesIO(content), name)[0]


def stored(ticket_id: int, attachment_id: int) -> attachments.StoredAttachment:
    with reading() as session:
        return attachments.find(session, ticket_id, attachment_id)


def test_an_object_is_written_read_and_deleted(configure: Callable[..., Any], bucket_url: str):
    configure(AURA_ATTACHMENTS="s3", AURA_ATTACHMENTS_S3_URL=bucket_url)
    storage = make_storage("s3")

    storage.write("ab/abc-1", [CONTENT[:100], CONTENT[100:]])
    assert b"".join(storage.read("ab/abc-1")) == CONTENT
    storage.write("ab/empty-2", [])
    assert b"".join(storage.read("ab/empty-2")) == b""
    storage.delete("ab/abc-1")
    storage.delete("ab/abc-1")
    with pytest.raises(ContentMissing):
        list(storage.read("ab/abc-1"))
    probe(storage)


def test_credentials_of_the_environment_are_used(
    configure: Callable[..., Any], bucket_url: str, monkeypatch: pytest.MonkeyPatch
):
    scheme, _, rest = bucket_url.partition("://")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test:tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    configure(AURA_ATTACHMENTS="s3", AURA_ATTACHMENTS_S3_URL=f"{scheme}://{rest.partition('@')[2]}")

    probe(make_storage("s3"))


def test_a_content_moves_to_the_store_and_is_deleted_with_its_ticket_later(
    configure: Callable[..., Any], bucket_url: str, hand: Hand
):
    configure(AURA_ATTACHMENTS="s3", AURA_ATTACHMENTS_S3_URL=bucket_url)
    (ticket,) = create(NewTicket(title="VPN drops"))
    number = attach(ticket, CONTENT)
    assert b"".join(read_content(stored(ticket, number))) == CONTENT

    hand.run()

    moved = stored(ticket, number)
    assert (moved.storage, count(AttachmentChunk)) == ("s3", 0)
    assert b"".join(read_content(moved)) == CONTENT
    assert b"".join(make_storage("s3").read(key_of(moved))) == CONTENT


def test_an_upload_does_not_wait_for_a_store_that_is_down(
    configure: Callable[..., Any], swift: Swift, bucket_url: str, hand: Hand
):
    configure(AURA_ATTACHMENTS="s3", AURA_ATTACHMENTS_S3_URL=bucket_url)
    (ticket,) = create(NewTicket(title="VPN drops"))
    swift.kill()
    try:
        number = attach(ticket, CONTENT)
        assert not check_attachments().ok
        with pytest.raises(StorageUnavailable):
            make_storage("s3").write("ab/x-1", [b"x"])

        hand.run()

        assert (stored(ticket, number).storage, count(Job)) == ("database", 1)
        assert b"".join(read_content(stored(ticket, number))) == CONTENT
    finally:
        swift.start()


@pytest.mark.parametrize("wrong", ["secret", "bucket"])
def test_doctor_names_a_refusal_of_the_store_and_no_secret(
    configure: Callable[..., Any], swift: Swift, bucket_url: str, wrong: str
):
    url = swift.bucket_url("bucket", "not-the-secret") if wrong == "secret" else swift.bucket_url("missing-bucket")
    configure(AURA_ATTACHMENTS="s3", AURA_ATTACHMENTS_S3_URL=url)

    check = check_attachments()

    assert not check.ok
    assert "403" in check.detail if wrong == "secret" else "404" in check.detail
    assert "not-the-secret" not in f"{check.detail}{check.fix}"
    assert "AURA_ATTACHMENTS_S3_URL" in check.fix


def test_a_bucket_that_is_missing_is_no_missing_content(configure: Callable[..., Any], swift: Swift, bucket_url: str):
    configure(AURA_ATTACHMENTS="s3", AURA_ATTACHMENTS_S3_URL=swift.bucket_url("missing-bucket"))
    storage = make_storage("s3")

    # else retention would delete the rows, and the objects would stay for ever
    for use in (lambda: list(storage.read("ab/abc-1")), lambda: storage.delete("ab/abc-1")):
        with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
            use()
