"""Names and content of attachments."""

from __future__ import annotations

import pytest

from aura.mail.parse import parse_mail, read_attachments


def name_of(part: bytes, head: bytes = b"") -> str:
    raw = (
        b"From: a@example.com\n"
        + head
        + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n"
        + part
        + b"\n\nx\n--b--\n"
    )
    [attachment] = parse_mail(raw).attachments
    return str(attachment["name"])


PDF = b"Content-Type: application/pdf\nContent-Disposition: attachment; "


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        (b"filename=plan.pdf", "plan.pdf"),
        (b'filename="a plan; final.pdf"', "a plan; final.pdf"),
        (b"filename*=utf-8''%C3%9Cbersicht.pdf", "Übersicht.pdf"),
        (b"filename*=koi8-r'ru'%F0%CC%C1%CE.pdf", "План.pdf"),
        (b"filename*0*=utf-8''%C3%9Cber; filename*1=sicht.pdf", "Übersicht.pdf"),
        (b'filename="=?utf-8?Q?=C3=9Cbersicht.pdf?="', "Übersicht.pdf"),
        (b"filename==?utf-8?B?w5xiZXJzaWNodC5wZGY=?=", "Übersicht.pdf"),
        (b"filename=%C3%9Cbersicht.pdf", "Übersicht.pdf"),
        (b"filename=100%25.pdf", "100%25.pdf"),
        ("filename=\"Übersicht.pdf\"".encode(), "Übersicht.pdf"),
        ("filename=\"Übersicht.pdf\"".encode("cp1252"), "Übersicht.pdf"),
        ("filename=Übersicht.pdf".encode(), "Übersicht.pdf"),
        ("filename=\"Обзор за май.pdf\"".encode("cp1251"), "Обзор за май.pdf"),
        ("filename=\"打印机报告.pdf\"".encode("gbk"), "打印机报告.pdf"),
        (b'filename="C:\\\\Users\\\\ann\\\\plan.pdf"', "plan.pdf"),
        (b'filename="../../etc/plan.pdf"', "plan.pdf"),
        (b'filename="/tmp/plan.pdf"', "plan.pdf"),
        (b'filename="offer 12/2026.pdf"', "offer 12_2026.pdf"),
        (b'filename="a\tb\x01.pdf"', "a b.pdf"),
        (b"filename='my plan.pdf'", "my plan.pdf"),
        (b"filename=\"Ubersicht.pdf\"; filename*=utf-8''%C3%9Cbersicht.pdf", "Übersicht.pdf"),
    ],
)  # fmt: skip
def test_the_name_of_an_attachment_is_readable_and_has_no_folders(parameter: bytes, name: str) -> None:
    assert name_of(PDF + parameter) == name


@pytest.mark.parametrize(("charset", "codec"), [("koi8-r", "koi8-r"), ("windows-1251", "cp1251"), ("utf-8", "utf-8")])
def test_a_raw_name_has_the_charset_of_the_text(charset: str, codec: str) -> None:
    text = f"--b\nContent-Type: text/plain; charset={charset}\n\nПлан\n"
    part = '--b\nContent-Type: image/png; name="План.png"\nContent-Disposition: attachment; filename="План.png"\n\nx\n--b--\n'
    raw = f"From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n{text}{part}".encode(codec)

    assert parse_mail(raw).attachments[0]["name"] == "План.png"


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (b"Content-Type: image/jpeg", "image.jpg"),
        (b"Content-Type: application/pdf", "application.pdf"),
        (b"Content-Type: text/calendar", "invitation.ics"),
        (b"Content-Type: application/octet-stream", "attachment.bin"),
        (b"Content-Type: application/x-unheard-of", "application.bin"),
        (b"Content-Type: text/plain\nContent-Disposition: attachment", "text.txt"),
        (b"Content-Type: message/rfc822\n\nSubject: Fan is loud", "Fan is loud.eml"),
        (b"Content-Type: message/rfc822\n\nSubject: Offer 12/2026", "Offer 12_2026.eml"),
        (b"Content-Type: message/rfc822", "message.eml"),
        (b"Content-Type: application/pgp-signature", "signature.asc"),
        (b"Content-Type: image/png\nContent-Type: text/html", "image.png"),
    ],
)
def test_a_part_without_a_name_is_named_by_its_subject_or_type(part: bytes, name: str) -> None:
    assert name_of(part) == name


def test_content_of_attachments_is_decoded_and_inline_pictures_have_their_id() -> None:
    raw = (
        b"From: a@example.com\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<img src=cid:p1>\n"
        b"--b\nContent-Type: image/png\nContent-ID: <p1>\nContent-Transfer-Encoding: base64\n\niVBORw==\n"
        b"--b\nContent-Type: image/gif; name=x.gif\nContent-ID: <p2>\nContent-Disposition: attachment\n\nGIF89a\r\n\n--b--\n"
    )
    first, second = read_attachments(raw)

    assert (first.content, first.inline, first.content_id) == (b"\x89PNG", True, "p1")
    assert (second.content, second.inline, second.name) == (b"GIF89a\r\n", False, "x.gif")


def test_attachments_beyond_the_limit_are_counted_in_one_line() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nContent-Type: image/png\n\nx\n" * 1_500

    assert len(parse_mail(raw).attachments) == len(read_attachments(raw)) == 1_000
    assert parse_mail(raw).attachments[-1]["name"] == "(and more)"
