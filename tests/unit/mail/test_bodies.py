"""The text of a mail: which parts are text, which alternative counts, what forwarded mails and invitations say."""

from __future__ import annotations

import base64

import pytest

from aura.mail.bodies import MAX_FORWARDS, MAX_TEXT, is_placeholder
from aura.mail.parse import parse_mail


def multipart(*parts: str, kind: str = "mixed", head: str = "") -> bytes:
    body = "".join(f"--b\n{part}\n" for part in parts)
    return f"From: a@example.com\n{head}Content-Type: multipart/{kind}; boundary=b\n\n{body}--b--\n".encode()


def names(raw: bytes) -> list[str]:
    return [each["name"] for each in parse_mail(raw).attachments]


PICTURE = "Content-Type: image/png; name=p.png\nContent-Disposition: attachment; filename=p.png\n\nx"


@pytest.mark.parametrize(
    ("kind", "source", "text"),
    [
        ("text/plain; Format=Flowed", "The lamp \nflickers. \n\nNow\n", "The lamp flickers.\n\nNow"),
        ("text/plain; format=flowed; DelSp=Yes", "照明 \nが点滅 \nします", "照明が点滅します"),
        ("text/plain", "The lamp \nflickers.", "The lamp\nflickers."),
        ("text/enriched", "<color><param>red</param>Lamp</color> <<5 volt", "Lamp <5 volt"),
    ],
)
def test_formats_of_text_are_read(kind: str, source: str, text: str) -> None:
    mail = f"From: a@example.com\nContent-Type: {kind}; charset=utf-8\n\n{source}"

    assert parse_mail(mail.encode()).text == text


def test_alternatives_that_only_some_programs_show_are_not_attached() -> None:
    alternatives = (f"Content-Type: text/{kind}\n\nHello" for kind in ("plain", "x-amp-html", "watch-html", "html"))

    assert names(multipart(*alternatives, kind="alternative")) == []
    assert names(multipart("Content-Type: text/x-amp-html\n\nHello")) != []


# -- parts of text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "described",
    [
        "Content-Type: text/plain; name=body.txt",
        'Content-Type: text/plain; name="message.txt"\nContent-Disposition: inline',
        "Content-Type: text/plain\nContent-Disposition: inline; filename=mail.txt",
        "Content-Type: text/html; name=mail.htm",
        "Content-Type: text\nContent-Disposition: inline",
        "Content-Type: text/plain;",
        "Content-Type: text/markdown",
        "Content-Type: text/html charset=utf-8",
        'Content-Type: "text/plain"',
        "X-Other: 1",
    ],
)
def test_a_name_makes_no_attachment_of_the_text(described: str) -> None:
    assert parse_mail(f"From: a@example.com\n{described}\n\nThe lamp flickers.".encode()).text == "The lamp flickers."

    mixed = multipart(f"{described}\n\nThe lamp flickers.", PICTURE)
    assert (parse_mail(mixed).text, names(mixed)) == ("The lamp flickers.", ["p.png"])


@pytest.mark.parametrize(
    "disposition", ["attachment", 'ATTACHMENT; filename="log.txt"', "attachment; size=3", '"attachment"']
)
def test_the_disposition_attachment_makes_an_attachment_of_text(disposition: str) -> None:
    raw = multipart("\nSee the log.", f"Content-Type: text/plain\nContent-Disposition: {disposition}\n\nerror 7")

    assert parse_mail(raw).text == "See the log."
    assert len(parse_mail(raw).attachments) == 1


def test_a_mail_that_is_one_attached_text_has_it_as_its_text_too() -> None:
    parsed = parse_mail(
        b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nThe lamp flickers."
    )

    assert (parsed.text, [each["name"] for each in parsed.attachments]) == ("The lamp flickers.", ["a.txt"])


def test_a_second_text_without_a_file_name_is_read_and_a_shown_file_is_attached() -> None:
    second = "Content-Type: text/plain; name=two.txt\n\nSince Monday."
    shown = "Content-Type: text/plain\nContent-Disposition: inline; filename=trace.log\n\nerror 7"
    raw = multipart("\nThe lamp flickers.", second, shown)

    assert parse_mail(raw).text == "The lamp flickers.\n\nSince Monday."
    assert names(raw) == ["trace.log"]


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: multipart/mixed\n\nThe lamp flickers.",
        b"Content-Type: multipart/mixed; boundary=b\n\nThe lamp flickers.",
        b"Content-Type: multipart/mixed; boundary=wrong\n\n--right\n\nThe lamp flickers.\n--right--\n",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nThe lamp flickers.",
        b"Content-Type: multipart/mixed; boundary=\"b\"\n\npreamble\n--b \n\nThe lamp flickers.\n--b--\nepilogue",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe lamp flickers.\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\n\n"
        b"The lamp flickers.\n--b2--\n--b--\n",
    ],
)  # fmt: skip
def test_boundaries_with_errors_do_not_hide_the_text(raw: bytes) -> None:
    assert parse_mail(raw).text == "The lamp flickers."


@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_text_after_a_picture_that_is_longer_than_the_limit_is_read(encoding: str) -> None:
    page = f'<p>before</p><img src="data:image/png;base64,{"QUJD" * MAX_TEXT}"><p>after</p>'.encode()
    body = base64.encodebytes(page) if encoding == "base64" else page
    parsed = parse_mail(f"Content-Type: text/html\nContent-Transfer-Encoding: {encoding}\n\n".encode() + body)

    assert (parsed.text, len(parsed.html) < 100) == ("before\n\nafter", True)


def test_text_is_read_to_a_limit_and_not_cut_inside_a_character() -> None:
    raw = multipart(*[f"Content-Type: text/html; charset=utf-8\n\n<p>{'ä' * (MAX_TEXT // 4)}x</p>"] * 3)
    html = parse_mail(raw).html

    assert MAX_TEXT // 2 < len(html.encode()) <= MAX_TEXT + 10
    assert set(html) == set("<p>äx</p>\n")


# -- alternatives -----------------------------------------------------------------------------------------------------

HTML = "<p>The lamp in room 12 flickers since Monday, please send somebody before the meeting.</p>"


@pytest.mark.parametrize(
    "plain",
    [
        "", " \n ", "\u00a0", "https://news.example/view/1", "Online: https://news.example/view/1",
        "Your mail client does not support HTML.",
        "This message contains HTML. Please use another program to read it, or ask the sender for a text version.",
        "Ihr E-Mail-Programm kann kein HTML anzeigen.", "Votre messagerie ne peut pas afficher ce message.",
        "Este mensaje está en formato HTML.", "Ваша программа не поддерживает HTML.",
        "お使いのメールソフトはHTMLに対応していません。",
        "[HTML]", "-", "HTML", "The lamp: https://news.example/view/1",
    ],
)  # fmt: skip
def test_a_placeholder_loses_to_the_html(plain: str) -> None:
    raw = multipart(
        f"Content-Type: text/plain; charset=utf-8\n\n{plain}", f"Content-Type: text/html\n\n{HTML}", kind="alternative"
    )
    parsed = parse_mail(raw)

    assert parsed.text == "The lamp in room 12 flickers since Monday, please send somebody before the meeting."
    assert parsed.html.strip() == HTML


@pytest.mark.parametrize(
    "plain",
    [
        "The lamp in room 12 flickers since Monday, please send somebody before the meeting.",
        "The lamp in room 12 flickers.",
        "*The lamp* in room 12 flickers since\nMonday, please send somebody before [the meeting](https://m.example).",
        "The lamp in room 12 flickers since Monday. > quoted: the old one did too, and nobody came to see it for weeks",
    ],
)
def test_a_plain_alternative_that_says_the_same_wins(plain: str) -> None:
    raw = multipart(f"Content-Type: text/plain\n\n{plain}", f"Content-Type: text/html\n\n{HTML}", kind="alternative")

    assert parse_mail(raw).text == plain
    assert parse_mail(raw).html == ""


@pytest.mark.parametrize("html", ["", "<p></p>", "<img src=x>", "<p>Hi</p>"])
def test_html_that_says_less_does_not_win(html: str) -> None:
    plain = "Der Drucker im dritten Stock druckt nicht mehr"
    raw = multipart(f"Content-Type: text/plain\n\n{plain}", f"Content-Type: text/html\n\n{html}", kind="alternative")

    assert parse_mail(raw).text == plain


def test_text_in_languages_without_blanks_is_compared_by_characters() -> None:
    assert not is_placeholder("打印机坏了，请尽快修理", "打印机坏了，请尽快修理。谢谢")
    assert is_placeholder("您的邮件程序不支持网页格式", "打印机坏了，请尽快修理。谢谢")


@pytest.mark.parametrize("end", ["", "; charset=us-ascii"])
def test_html_without_a_charset_is_read_with_the_one_in_its_head(end: str) -> None:
    meta = "<meta http-equiv='Content-Type' content='text/html; charset=windows-1251'>"
    page = f"<html><head>{meta}</head><body>Сканер</body></html>"
    raw = f"Content-Type: text/html{end}\n\n{page}".encode("cp1251")

    assert parse_mail(raw).text == "Сканер"


def test_an_html_document_that_says_it_is_plain_text_is_html() -> None:
    assert (
        parse_mail(b"Content-Type: text/plain\n\n<!DOCTYPE html><html><body><p>one</p>two</body></html>").text
        == "one\n\ntwo"
    )


# -- mails within mails -----------------------------------------------------------------------------------------------

FORWARDED = (
    "Content-Type: message/rfc822\n{disposition}\nFrom: Cara <cara@customer.example>\nSubject: =?utf-8?Q?L=C3=BCfter?= loud\n"
    "Content-Type: text/html; charset=utf-8\n\n<p>It is <b>very</b> loud.</p>"
)


@pytest.mark.parametrize("disposition", ["", "Content-Disposition: attachment\n", "Content-Disposition: inline\n"])
@pytest.mark.parametrize("own", ["", "FYI"])
def test_a_forwarded_mail_is_read_and_attached_by_its_subject(disposition: str, own: str) -> None:
    raw = multipart(f"Content-Type: text/plain\n\n{own}", FORWARDED.format(disposition=disposition))
    parsed = parse_mail(raw)

    assert parsed.text.startswith(own or "-")
    for each in ("From: Cara <cara@customer.example>", "Subject: Lüfter loud", "It is very loud."):
        assert each in parsed.text
    assert names(raw) == ["Lüfter loud.eml"]
    assert parsed.sender == "a@example.com"


def test_a_name_of_a_forwarded_mail_counts_more_than_its_subject() -> None:
    named = FORWARDED.format(disposition="Content-Disposition: attachment; filename=original.eml\n")

    assert names(multipart("\nFYI", named)) == ["original.eml"]


def test_a_forwarded_mail_in_base64_is_read() -> None:
    inner = "U3ViamVjdDogRmFuCgpJdCBpcyBsb3VkLgo="
    raw = multipart(f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{inner}")

    assert "It is loud." in parse_mail(raw).text
    assert names(raw) == ["Fan.eml"]


def test_a_mail_that_a_report_returns_is_attached_and_not_read() -> None:
    raw = multipart(
        "\nCould not be delivered.", "Content-Type: message/delivery-status\n\nStatus: 5.1.1",
        FORWARDED.format(disposition=""), kind="report",
    )  # fmt: skip

    assert parse_mail(raw).text == "Could not be delivered."
    assert names(raw) == ["delivery-status.txt", "Lüfter loud.eml"]


def test_mails_within_mails_are_read_to_a_depth() -> None:
    raw = b"Subject: level\nContent-Type: message/rfc822\n\n" * 50 + b"Subject: x\n\nend"

    assert parse_mail(raw).text.count("Subject: level") == MAX_FORWARDS
