"""Classification with the text of attachments, off by default."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from actors import attachment_texts
from actors.analysis import _requests, requests_to_reclassify
from actors.attachment_texts import with_attachments
from aura.ai import ClassificationRequest
from aura.attachments import text
from aura.attachments.text import CHARACTERS
from aura.desk import attachments as desk
from db import attachments, reading, tickets, transaction
from db.models import AiCall
from db.new_tickets import NewTicket
from db.tickets import create
from pipelines.triage import triage
from tests.embedded import Hand
from tests.files import LOG, pdf, png
from tests.openai_server import CHAT, HostileModel

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a busy machine the time to read a PDF."""
    monkeypatch.setattr(text, "PDF_SECONDS", 60.0)
    monkeypatch.setattr(attachment_texts, "SECONDS", 600.0)


SECRET = "ada.lovelace@example.com"


def ticket_with(*files: tuple[str, bytes], description: str = "It fails.") -> int:
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title="VPN drops", description=description), {})])
        for name, content in files:
            desk.upload(session, ticket, io.BytesIO(content), name)
    return ticket


def request(ticket_id: int) -> ClassificationRequest:
    """Return the request of a ticket as the engine gets it."""
    with reading() as session:
        row = tickets.load(session, [str(ticket_id)])[str(ticket_id)]
    (base,) = _requests([row])
    (extended,) = with_attachments([base])
    (again,) = requests_to_reclassify([row])
    assert again == extended
    return extended


def test_by_default_no_attachment_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attachments, "of_tickets", lambda *_: pytest.fail("queried"))
    ticket = ticket_with(("trace.log", LOG))

    assert request(ticket).description == "It fails."


def test_text_log_and_pdf_follow_the_description(configure: Callable[..., Any], sqlite: str):
    configure(DATABASE_URL=sqlite, AURA_CLASSIFY_ATTACHMENTS="true")
    ticket = ticket_with(("trace.log", b"tunnel down"), ("manual.pdf", pdf("Reset it")), ("shot.png", png()))

    assert request(ticket).description == (
        "It fails.\n\nAttachment trace.log:\ntunnel down\n\nAttachment manual.pdf:\nReset it"
    )


@pytest.mark.parametrize(
    ("charset", "line"),
    [
        ("utf-8-sig", "Größe: 5 €"),
        ("utf-16", "Größe: 5 €"),
        ("cp1252", "Die Größe der Datei wird überschritten"),
        ("cp1251", "Служба не отвечает, ошибка соединения"),
        ("shift_jis", "接続が切れました。再起動してください。"),
    ],
)
def test_a_text_is_decoded_as_in_a_mail(configure: Callable[..., Any], sqlite: str, charset: str, line: str):
    configure(DATABASE_URL=sqlite, AURA_CLASSIFY_ATTACHMENTS="true")
    content = "\n".join([line] * 50).encode(charset)

    assert request(ticket_with(("trace.log", content))).description.startswith(
        f"It fails.\n\nAttachment trace.log:\n{line}\n"
    )


def test_a_ticket_without_readable_attachments_is_unchanged(configure: Callable[..., Any], sqlite: str):
    configure(DATABASE_URL=sqlite, AURA_CLASSIFY_ATTACHMENTS="true")
    long = "word " * 2_000

    assert (
        request(ticket_with(("shot.png", png()), ("empty.txt", b" \n"), description=long)).description == long.strip()
    )


def test_the_text_is_bounded(configure: Callable[..., Any], sqlite: str):
    configure(DATABASE_URL=sqlite, AURA_CLASSIFY_ATTACHMENTS="true")
    ticket = ticket_with(*((f"{number}.log", b"x" * 3_000) for number in range(9)), description="y" * 9_000)

    description = request(ticket).description

    assert (description.count("x"), description.count("y")) == (CHARACTERS, attachment_texts.DESCRIPTION)


def test_an_attachment_that_cannot_be_read_is_left_out(configure: Callable[..., Any], sqlite: str):
    configure(DATABASE_URL=sqlite, AURA_CLASSIFY_ATTACHMENTS="true")
    ticket = ticket_with(("gone.log", b"gone"), ("here.log", b"here"))
    with transaction() as session:
        attachments.mark_moved(session, 1, "folder")  # no folder is configured

    assert request(ticket).description == "It fails.\n\nAttachment here.log:\nhere"


def test_pdfs_beyond_the_time_of_a_batch_are_left_out(
    configure: Callable[..., Any], sqlite: str, monkeypatch: pytest.MonkeyPatch
):
    configure(DATABASE_URL=sqlite, AURA_CLASSIFY_ATTACHMENTS="true")
    monkeypatch.setattr(attachment_texts, "SECONDS", 0.0)

    assert request(ticket_with(("manual.pdf", pdf("Reset it")))).description == "It fails."


def test_the_text_is_masked_before_it_is_sent(configure: Callable[..., Any], sqlite: str, hand: Hand, httpserver: Any):
    configure(
        DATABASE_URL=sqlite,
        AURA_CLASSIFY_ATTACHMENTS="true",
        OPENAI_API_KEY="key",
        OPENAI_BASE_URL=httpserver.url_for("/v1"),
    )
    httpserver.expect_request(CHAT).respond_with_handler(model := HostileModel())
    ticket = ticket_with(("trace.log", f"login of {SECRET} failed, tunnel down".encode()))
    with transaction():
        triage.send(ticket)

    hand.run()

    (body,) = model.bodies
    assert "tunnel down" in body and SECRET not in body
    with reading() as session:
        (call,) = session.query(AiCall)
    assert "tunnel down" in call.sent and SECRET not in call.sent
