"""Parsing: any bytes become a mail with valid texts, in bounded time."""

from __future__ import annotations

import base64
import quopri
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aura.mail.auto_replies import classify_mail
from aura.mail.bodies import MAX_TEXT
from aura.mail.parse import MAX_ID, parse_mail, read_attachments
from aura.mail.replies import strip_quotes
from db.new_tickets import DESCRIPTION_LIMIT, storable
from tests.conftest import ROOT
from tests.growth import MOST, growth

MAILS = ROOT / "tests" / "data" / "mails"
OWN_ADDRESS = "aura@localhost"


def mail(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


# -- text and attachments ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sender", "subject", "text"),
    [
        ("html_only", "bob@example.com", "Bildschirm schwarz", "The screen stays black – since 8 o'clock."),
        ("broken_multipart", "eve@example.com", "Broken", "The boundary is missing, the text is not."),
        ("no_from", "", "Anonymous", "Somebody left the server room open."),
        ("year_9999", "future@example.com", "Clock", "The clock on the wall is wrong."),
        ("header_injection", "mallory@example.com", "Hi Bcc: everybody@example.com Text", "Text."),
        ("no_headers", "", "", "just a line without any header"),
        ("only_headers", "quiet@example.com", "No text at all", ""),
        ("empty", "", "", ""),
    ],
)
def test_sender_subject_and_text_of_a_mail(name: str, sender: str, subject: str, text: str):
    parsed = parse_mail(mail(name))

    assert (parsed.sender, parsed.subject, parsed.text) == (sender, subject, text)


def test_attachments_are_listed_by_name_type_and_size():
    found = [(each["name"], each["type"], each["size"]) for each in parse_mail(mail("attachments")).attachments]

    assert found[:2] == [("Fehler ü.png", "image/png", 1000), ("vpn log.txt", "text/plain", 17)]
    assert found[2][:2] == ("the one that I forward.eml", "message/rfc822")


def test_broken_base64_and_an_unknown_charset_keep_the_readable_text():
    assert parse_mail(mail("broken_base64")).text.startswith("The printer is on fire")


def test_the_plain_alternative_is_read_and_html_when_plain_is_empty():
    parts = "--b\nContent-Type: text/plain\n\n{}\n--b\nContent-Type: text/html\n\n<p>as HTML</p>\n--b--\n"
    frame = "From: a@example.com\nContent-Type: multipart/alternative; boundary=b\n\n" + parts

    assert parse_mail(frame.format("as text").encode()).text == "as text"
    assert parse_mail(frame.format("   ").encode()).text == "as HTML"


# -- identity ---------------------------------------------------------------------------------------------------------


def test_headers_of_servers_do_not_change_the_identity():
    raw = mail("plain")

    assert (
        parse_mail(b"Received: from somewhere\r\n" + raw).identity
        == parse_mail(raw).identity
        == "CAF0plain@mail.example.com"
    )


def test_the_identity_without_a_message_id_is_a_digest_of_the_content():
    raw = mail("no_from")
    other = raw.replace(b"open", b"shut")

    assert parse_mail(b"Received: here\n" + raw.replace(b"\r\n", b"\n")).identity == parse_mail(raw).identity
    assert parse_mail(other).identity != parse_mail(raw).identity


@pytest.mark.parametrize("odd", ["x" * 5000 + "@example.com", "ü@example.com", "a\tb"])
def test_the_identity_of_an_odd_message_id_is_a_short_digest(odd: str):
    first, second = (parse_mail(f"Message-ID: <{odd}{n}>\n\nText".encode()) for n in (1, 2))

    assert first.identity.isascii() and len(first.identity) <= MAX_ID
    assert first.identity != second.identity


# -- sender, recipients and digest ------------------------------------------------------------------------------------


def test_display_names_of_from_cc_and_reply_to_are_kept_beside_the_addresses():
    parsed = parse_mail(
        b"From: =?utf-8?Q?Gr=C3=A4fin?= <g@example.com>\nTo: desk@example.org\nCc: Bo <bo@example.com>\n"
        b"Reply-To: Team <team@example.com>\n\nText"
    )

    assert parsed.sender_name == "Gräfin"
    assert parsed.cc == (("Bo", "bo@example.com"),)
    assert parsed.reply_to == (("Team", "team@example.com"),)
    assert parsed.recipients == (("", "desk@example.org"), ("Bo", "bo@example.com"))


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ("From: ann@example.com\nReply-To: bob@example.com\nSender: cy@example.com", "ann@example.com"),
        ("From: Ann <>\nSender: cy@example.com\nReply-To: bob@example.com", "bob@example.com"),
        ("From: undisclosed:;\nSender: cy@example.com", "cy@example.com"),
        ("Reply-To: Bob <bob@example.com>", "bob@example.com"),
        ("From: nobody\nFrom: ann@example.com", "ann@example.com"),
        ("From: Ann <ann@example.com>, bob@example.com", "ann@example.com"),
        ("From: =?utf-8?Q?boss=40example.org=2C?= <eve@evil.example>", "eve@evil.example"),
        ("From: =?utf-8?Q?boss=40example.org?=\nReply-To: eve@evil.example", "eve@evil.example"),
        ("From: =?utf-8?Q?boss=40example.org?=", ""),
        ("From: MAILER-DAEMON", ""),
    ],
)
def test_the_sender_is_in_from_or_else_in_reply_to_or_sender(headers: str, sender: str):
    assert parse_mail(f"{headers}\n\nText".encode()).sender == sender


@pytest.mark.parametrize("value", ["<a@x> <b@x>", "a@x b@x", "<a@x>,\r\n <b@x>", "<a@x>(note)<b@x>"])
def test_the_mails_that_a_mail_follows_are_named_with_or_without_brackets(value: str):
    assert parse_mail(f"References: {value}\n\nText".encode()).references == ("b@x", "a@x")


def test_the_content_digest_does_not_depend_on_transfer_encodings_charsets_and_structure():
    head = "From: Ann <ann@example.com>\nDate: {}\nSubject: {}\n"
    as_sent = head.format("Mon, 30 Nov 2026 08:00:00 +0000", "Tür")
    as_received = "Received: x\n" + head.format("Mon, 30 Nov 2026 09:00:00  +0100 (CET)", "=?utf-8?Q?T=C3=BCr?=")
    text = "Die Tür zu Raum 12 klemmt, seit Montag.\n"
    ways = [
        f"{as_sent}Content-Type: text/plain; charset=utf-8\n\n{text}".encode(),
        f"{as_received}Content-Type: text/plain; charset=utf-8\n\n{text}\n".replace("\n", "\r\n").encode(),
        f"{as_received}Content-Type: text/plain; charset=iso-8859-1\n\n{text}".encode("latin-1"),
        f"{as_received}Content-Transfer-Encoding: base64\n\n".encode() + base64.encodebytes(text.encode()),
        f"{as_received}Content-Transfer-Encoding: quoted-printable\n\n".encode() + quopri.encodestring(text.encode()),
    ]

    assert len({parse_mail(raw).content_digest for raw in ways}) == 1


def test_the_content_digest_does_not_depend_on_the_way_of_a_mail():
    raw = mail("attachments")
    other_way = b"Received: from elsewhere\r\nX-Scanned: yes\r\n" + raw.replace(b"\r\n", b"\n")

    assert parse_mail(other_way).content_digest == parse_mail(raw).content_digest


def test_the_content_digest_differs_for_another_sender_date_subject_text_or_attachment():
    raw = (
        b"From: ada@example.com\nDate: Mon, 30 Nov 2026 08:00:00 +0000\nSubject: Toner\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nlow\n"
        b"--b\nContent-Disposition: attachment; filename=a.bin\n\n123\n--b--\n"
    )
    changes = [(b"ada@", b"bob@"), (b"08:00", b"09:00"), (b"Toner", b"Paper"), (b"low", b"out"), (b"123", b"124")]
    digests = {parse_mail(raw.replace(*change)).content_digest for change in changes}

    assert len(digests | {parse_mail(raw).content_digest}) == 1 + len(changes)


def test_the_content_of_attachments_is_read_in_the_order_of_their_list():
    raw = mail("attachments")
    listed = [(each["name"], each["size"]) for each in parse_mail(raw).attachments]

    assert [(each.name, len(each.content)) for each in read_attachments(raw)] == listed


# -- hostile and broken mails -----------------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    part = b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n"
    return b"Content-Type: multipart/mixed; boundary=b0\n\n" + b"".join(part % (n, n + 1) for n in range(levels))


#: The first lines of a mail, and what is repeated behind them.
BOMBS = {
    "parts": (b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n\nhello\n"),
    "parts without text": (b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n"),
    "boundaries of thirty levels in lines": (nested(30), b"\n"),
    "boundaries of thirty levels in dashes": (nested(30), b"--b"),
    "mails within mails": (b"", b"Content-Type: message/rfc822\n\n"),
    "comments within comments": (b"From: ", b"("),
    "encoded words": (b"Subject: ", b"=?utf-8?Q?x?= "),
    "parameters": (b"Content-Type: text/plain; ", b"a*0=b; "),
    "names of attachments": (b"Content-Type: image/png; ", b'name*1="a\\";'),
    "a slow codec": (b"Content-Type: text/plain; charset=punycode\n\na-", b"b"),
    "broken utf-7": (b"Content-Type: text/plain; charset=utf-7\n\n", b"+AOQ"),
    "bytes that are no UTF-8": (b"Content-Type: text/plain; charset=utf-8\n\n", b"\xc3\xff"),
    "bytes of no charset": (b"Content-Type: text/plain\n\n", b"\x81\xfe\xff"),
    "Japanese escapes": (b"\n", b"\x1b$B!!"),
    "unclosed comments": (b"Content-Type: text/html\n\n<p>", b"<!--"),
    "unclosed elements": (b"Content-Type: text/html\n\n<p>", b"<div><b>"),
    "meta tags": (b"Content-Type: text/html\n\n", b"<meta "),
    "headers": (b"", b"X: y\n"),
    "odd lines": (b"From: a\n", b"odd line\n"),
    "base64 with footers": (b"Content-Transfer-Encoding: base64\n\n", b"QUJD\n-\n"),
    "uuencoded files": (b"\n", b"begin 644 x\n#86)C\nend\n"),
    "a calendar": (b"Content-Type: text/calendar\n\nBEGIN:VEVENT\n", b"SUMMARY:x\n"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_mail_takes_linear_time(name: str):
    begin, repeated = BOMBS[name]
    text = (repeated * (200_000 // len(repeated))).decode("latin-1")

    assert growth(lambda each: parse_mail(begin + each.encode("latin-1")), text) < MOST


@pytest.mark.parametrize("name", BOMBS)
def test_the_text_and_the_attachments_of_a_hostile_mail_are_bounded(name: str):
    begin, repeated = BOMBS[name]
    parsed = parse_mail(begin + repeated * (300_000 // len(repeated)))

    assert len(parsed.text) <= DESCRIPTION_LIMIT
    assert len(parsed.html) <= MAX_TEXT
    assert len(parsed.attachments) <= 1_000


CORPUS = [path.read_bytes() for path in sorted(MAILS.glob("*.eml"))]
HEADERS = st.sampled_from(
    [
        b"From", b"To", b"Subject", b"Message-ID", b"References", b"In-Reply-To", b"Content-Type", b"Date",
        b"Content-Transfer-Encoding", b"Content-Disposition", b"Auto-Submitted", b"Return-Path",
    ]
)  # fmt: skip
VALUES = st.binary(max_size=60) | st.sampled_from(
    [
        b"=?utf-8?B?////?=", b"=?hex?Q?00?=", b"multipart/mixed; boundary=b", b"text/plain; charset=\0", b"<>",
        b"text/html; charset*=''x", b"attachment; filename*0*=x''%ff", b"base64", b"x-uuencode", b"\"a\\", b"a@b,(c",
    ]
)  # fmt: skip
BUILT = st.builds(
    lambda headers, body: b"\n".join(name + b": " + value for name, value in headers) + b"\n\n" + body,
    st.lists(st.tuples(HEADERS, VALUES), max_size=6),
    st.binary(max_size=200) | st.just(b"--b\nContent-Type: text/plain; charset=zlib\n\nx\n--b--\n"),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(CORPUS))
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + draw(st.binary(max_size=20)) + raw[at + draw(st.integers(0, 40)) :]


@given(st.binary(max_size=300) | BUILT | damaged())
@example(b"Subject: =?utf-16?B?2AA=?=\n\n\0")
@example(b"\xff\xfe\0")
def test_any_bytes_become_a_mail_that_the_database_stores(raw: bytes):
    parsed = parse_mail(raw)

    assert parsed.raw == raw
    for text in (parsed.identity, parsed.sender, parsed.subject, parsed.text, *(a["name"] for a in parsed.attachments)):
        assert storable(text) == text
    assert "\n" not in parsed.subject + parsed.sender + parsed.identity
    assert 0 < len(parsed.identity) <= MAX_ID
    assert len(read_attachments(raw)) == len(parsed.attachments)
    classify_mail(parsed, OWN_ADDRESS)
    strip_quotes(parsed.text)


def test_the_corpus_is_complete():
    assert len(CORPUS) == len(list(Path(MAILS).iterdir())) > 20
