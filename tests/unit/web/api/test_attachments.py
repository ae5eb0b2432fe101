"""Resource attachments: list, download, upload."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from aura.attachments.storage import key_of
from aura.mail import ingest_mail
from aura.web.api import attachments as api
from db import attachments as rows
from db import reading, transaction
from db.models import Attachment, AttachmentChunk, AuditEntry
from tests.embedded import Hand, count, web_app
from tests.files import HTML, LOG, SVG, mail_with, pdf, png
from tests.unit.actors.helpers import run_in_parallel
from tests.unit.web.clients import audit_entries, create_key, create_ticket, local_key, remote_client

FILE = {"Content-Type": "application/octet-stream"}


def upload(web: TestClient, ticket_id: int, name: str, content: Any, **headers: str) -> Any:
    return web.post(
        f"/api/v1/tickets/{ticket_id}/attachments", params={"name": name}, content=content, headers=FILE | headers
    )


def files(web: TestClient, ticket_id: int) -> list[dict[str, Any]]:
    answer = web.get(f"/api/v1/tickets/{ticket_id}/attachments")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["attachments"]
    return listed


# -- list and download ------------------------------------------------------------------------------------------------


def test_the_files_of_a_mail_are_listed_and_downloaded(web: TestClient):
    result = ingest_mail(mail_with(("screenshot.png", png(4, 3)), ("trace.log", LOG)))

    picture, log = files(web, result.ticket_id or 0)

    assert {name: value for name, value in picture.items() if name != "created_at"} == {
        "id": picture["id"],
        "name": "screenshot.png",
        "content_type": "image/png",
        "size": len(png(4, 3)),
        "sha256": hashlib.sha256(png(4, 3)).hexdigest(),
        "stored": True,
        "reason": "",
        "inline": False,
        "width": 4,
        "height": 3,
        "mail_id": result.id,
        "url": f"/api/v1/tickets/{result.ticket_id}/attachments/{picture['id']}",
    }
    answer = web.get(log["url"])
    assert (answer.status_code, answer.content) == (200, LOG)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == str(len(LOG))
    assert web.get(picture["url"]).content == png(4, 3)


@pytest.mark.parametrize(
    ("name", "content", "content_type"),
    [
        ("screenshot.png", png(), "image/png"),
        ("manual.pdf", pdf("x"), "application/pdf"),
        ("page.html", HTML, "application/octet-stream"),
        ("photo.png", HTML, "application/octet-stream"),
        ("drawing.svg", SVG, "application/octet-stream"),
        ("photo.png", SVG, "application/octet-stream"),
        ("run.js", b"alert(1)", "text/plain"),
        ("empty", b"", "application/octet-stream"),
    ],
)
def test_every_download_is_an_attachment_in_which_a_browser_runs_nothing(
    web: TestClient, name: str, content: bytes, content_type: str
):
    answer = web.get(upload(web, create_ticket(), name, content).json()["url"])

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_an_unchanged_content_is_not_sent_again(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    url = upload(web, create_ticket(), "trace.log", LOG).json()["url"]
    tag = web.get(url).headers["ETag"]
    assert tag == f'"{hashlib.sha256(LOG).hexdigest()}"'

    monkeypatch.setattr("aura.web.downloads.read_content", lambda *_: pytest.fail("read"))
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = web.get(url, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
        assert answer.headers["Cache-Control"] == "private, no-cache"
    monkeypatch.undo()
    for condition in ('"other"', tag.strip('"'), ""):
        assert web.get(url, headers={"If-None-Match": condition}).status_code == 200


def test_an_attachment_is_found_below_its_own_ticket_alone(web: TestClient):
    mine, other = create_ticket(), create_ticket()
    number = upload(web, mine, "secret.log", LOG).json()["id"]

    wrong = [web.get(f"/api/v1/tickets/{other}/attachments/{each}") for each in (number, number + 1)]

    # an attachment of another ticket and none at all are the same answer
    assert [answer.status_code for answer in wrong] == [404, 404]
    details = [answer.json()["detail"].replace(f"attachment {number + at}", "it") for at, answer in enumerate(wrong)]
    assert details[0] == details[1]
    assert files(web, other) == []
    assert web.get("/api/v1/tickets/999/attachments").status_code == 404
    assert web.get(f"/api/v1/tickets/{mine}/attachments/99999999999999999999").status_code == 422


def test_the_scope_of_the_key_decides(database: str):
    ticket = create_ticket()
    client = remote_client(web_app())
    path = f"/api/v1/tickets/{ticket}/attachments"
    keys = {
        scope: {"Authorization": f"Bearer {create_key(scope, name=scope)}"}
        for scope in ("read", "submit", "operate", "admin")
    }
    posted = {
        scope: client.post(path, params={"name": f"{scope}.log"}, content=LOG, headers=FILE | key).status_code
        for scope, key in keys.items()
    }
    number = count(Attachment)

    listed = {scope: client.get(path, headers=key).status_code for scope, key in keys.items()}
    opened = {scope: client.get(f"{path}/{number}", headers=key).status_code for scope, key in keys.items()}

    assert posted == {"read": 403, "submit": 403, "operate": 201, "admin": 403}
    assert listed == opened == {"read": 200, "submit": 403, "operate": 403, "admin": 403}
    assert [client.get(each).status_code for each in (path, f"{path}/{number}")] == [401, 401]
    assert client.post(path, params={"name": "x"}, content=LOG, headers=FILE).status_code == 401
    assert number == 1


def test_a_content_that_is_not_stored_or_missing_is_404(
    web: TestClient, configure: Callable[..., Any], tmp_path: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AURA_ATTACHMENT_LIMIT", "10")
    configure(AURA_ATTACHMENTS="folder", AURA_ATTACHMENTS_FOLDER=str(tmp_path / "files"))
    ticket = ingest_mail(mail_with(("large.log", LOG), ("small.log", b"small"))).ticket_id or 0
    hand.run()
    large, small = files(web, ticket)
    assert (large["stored"], large["reason"]) == (False, "larger than 10 bytes")

    assert "larger than 10 bytes" in web.get(large["url"]).json()["detail"]
    assert web.get(small["url"]).content == b"small"
    with reading() as session:
        stored = rows.find(session, ticket, small["id"])
    (tmp_path / "files" / key_of(stored)).unlink()
    assert (web.get(large["url"]).status_code, web.get(small["url"]).status_code) == (404, 404)


# -- upload -----------------------------------------------------------------------------------------------------------


def test_an_upload_is_stored_and_audited(web: TestClient):
    ticket = create_ticket()

    answer = upload(web, ticket, "../../etc/Übersicht.log", LOG)

    assert (answer.status_code, answer.json()["name"], answer.json()["mail_id"]) == (201, "Übersicht.log", None)
    assert answer.headers["Location"] == answer.json()["url"]
    assert web.get(answer.json()["url"]).content == LOG
    assert audit_entries() == [("key local", "ticket.attach", f"ticket/{ticket}")]
    with reading() as session:
        assert [entry.details for entry in session.query(AuditEntry)] == [{"name": "Übersicht.log"}]


def test_a_repeated_upload_adds_nothing(web: TestClient):
    ticket = create_ticket()

    answers = [upload(web, ticket, "trace.log", LOG) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert upload(web, ticket, "other.log", LOG).status_code == 201
    assert upload(web, ticket, "trace.log", LOG + b"x").status_code == 201
    assert upload(web, create_ticket(), "trace.log", LOG).status_code == 201


def test_two_requests_with_one_file_at_the_same_moment_add_it_once(web: TestClient):
    ticket = create_ticket()

    answers = run_in_parallel(*[lambda: upload(web, ticket, "trace.log", LOG)] * 4)

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == count(Attachment) == 1


def test_an_upload_without_room_for_it_is_503_and_stores_nothing(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    class Full(io.BytesIO):
        def write(self, _part: Any) -> int:
            raise OSError(28, "No space left on device")

    ticket = create_ticket()
    monkeypatch.setattr(api.tempfile, "SpooledTemporaryFile", lambda max_size: Full())

    answer = upload(web, ticket, "trace.log", LOG)

    assert (answer.status_code, count(Attachment)) == (503, 0)
    assert "No space left" in answer.json()["detail"]


def test_a_file_that_became_empty_is_missing(
    web: TestClient, configure: Callable[..., Any], tmp_path: Path, hand: Hand
):
    configure(AURA_ATTACHMENTS="folder", AURA_ATTACHMENTS_FOLDER=str(tmp_path))
    url = upload(web, create_ticket(), "trace.log", LOG).json()["url"]
    empty = upload(web, create_ticket(), "empty.log", b"").json()["url"]
    hand.run()
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        path.write_bytes(b"")

    assert web.get(url).status_code == 404
    assert (web.get(empty).status_code, web.get(empty).content) == (200, b"")


def test_a_range_is_ignored_and_a_head_request_has_no_body(web: TestClient):
    url = upload(web, create_ticket(), "trace.log", LOG).json()["url"]

    for value in ("bytes=0-1", "bytes=5-", "bytes=-1", "bytes=9999999-", "lines=1-2", "bytes=2-1"):
        answer = web.get(url, headers={"Range": value})
        assert (answer.status_code, answer.content) == (200, LOG)
        assert answer.headers["Accept-Ranges"] == "none"
    head = web.head(url)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(LOG)))


def test_a_large_upload_arrives_in_parts(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "IN_MEMORY", 1_000)
    ticket = create_ticket()
    content = bytes(range(256)) * 8_000

    answer = upload(web, ticket, "core.bin", (content[at : at + 10_000] for at in range(0, len(content), 10_000)))

    assert answer.status_code == 201
    assert web.get(answer.json()["url"]).content == content
    assert count(AttachmentChunk) == 4


def test_an_upload_beyond_the_limit_is_413_before_it_is_read(
    web: TestClient, monkeypatch: pytest.MonkeyPatch, configure: Callable[..., Any]
):
    configure(AURA_ATTACHMENT_LIMIT=str(len(LOG)))
    ticket = create_ticket()
    sent: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(1_000):
            sent.append(number)
            yield LOG

    assert upload(web, ticket, "fits.log", LOG).status_code == 201
    for content in (LOG + b"x", parts()):
        answer = upload(web, ticket, "large.log", content)
        assert (answer.status_code, answer.json()["detail"]) == (
            413,
            f"the body has more than {len(LOG)} bytes (AURA_ATTACHMENT_LIMIT)",
        )
    assert count(Attachment) == 1


@pytest.mark.parametrize("ends", ["never", "by a disconnect"])
def test_an_upload_that_does_not_arrive_is_408_and_stores_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, ends: str
):
    monkeypatch.setattr(api, "PART_SECONDS", 0.05)
    ticket = create_ticket()
    sent: list[dict[str, Any]] = []
    parts = iter([{"type": "http.request", "body": b"begin", "more_body": True}])

    async def receive() -> dict[str, Any]:
        if (part := next(parts, None)) is not None:
            return part
        if ends == "never":
            await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/octet-stream")]
    headers.append((b"authorization", f"Bearer {local_key()}".encode()))
    path = f"/api/v1/tickets/{ticket}/attachments"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"name=x.log"}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "scheme": "http"}
    asyncio.run(web_app()(scope, receive, send))  # type: ignore[arg-type]

    assert [message["status"] for message in sent if message["type"] == "http.response.start"] in ([408], [])
    assert count(Attachment) == 0


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_is_no_file(web: TestClient, content_type: str):
    answer = upload(web, create_ticket(), "x.log", b"a=b", **{"Content-Type": content_type})

    assert answer.status_code == 415
    assert count(Attachment) == 0


def test_an_upload_needs_a_ticket_and_a_name(web: TestClient):
    assert upload(web, 999, "x.log", LOG).status_code == 404
    path = f"/api/v1/tickets/{create_ticket()}/attachments"
    assert web.post(path, content=LOG, headers=FILE).status_code == 422
    assert upload(web, 1, "", LOG).status_code == 422
    assert upload(web, 1, "x" * 501, LOG).status_code == 422
    assert upload(web, 1, "\u202e", LOG).json()["name"] == "attachment.txt"


def test_an_upload_to_a_full_ticket_is_a_conflict(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aura.desk.attachments.MAX_PER_TICKET", 1)
    ticket = create_ticket()
    upload(web, ticket, "1.log", LOG)

    answer = upload(web, ticket, "2.log", LOG)

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"ticket {ticket} has 1 attachments, which is the limit",
    )
    assert upload(web, ticket, "1.log", LOG).status_code == 200


def test_ten_thousand_attachments_have_a_bounded_list(web: TestClient):
    ticket = create_ticket()
    new = rows.NewAttachment("trace.log", "text/plain", 5, "0" * 64, reason="test")
    with transaction() as session:
        values = [{**new._asdict(), "ticket_id": ticket} for _ in range(10_000)]
        session.execute(insert(Attachment), values)

    assert len(files(web, ticket)) == rows.MAX_PER_TICKET
