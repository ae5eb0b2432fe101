"""Whatever bytes come in, a letter comes out: in words, with a bounded text, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aura.mail import auto_replies, read
from aura.mail.parse import LONGEST_ID
from aura.mail.replies import trim
from db.new_tickets import DESCRIPTION_LIMIT, storable
from tests.conftest import ROOT

MAILS = ROOT / "tests" / "data" / "mails"
OURS = "aura@localhost"


def mail(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


# -- the text ---------------------------------------------------------------------------------------------------------


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
        ("attachments", "carol@example.com", "Error message", "See the picture and the log."),
    ],
)
def test_a_mail_says_who_wrote_what(name: str, sender: str, subject: str, text: str):
    letter = read(mail(name))

    assert (letter.sender, letter.subject, letter.text) == (sender, subject, text)


def test_attachments_are_listed_by_name_type_and_size():
    found = [(each["name"], each["type"], each["size"]) for each in read(mail("attachments")).attachments]

    assert found[:2] == [("Fehler ü.png", "image/png", 1000), ("vpn log.txt", "text/plain", 17)]
    assert found[2][:2] == ("(no name)", "message/rfc822")


def test_broken_base64_and_an_unknown_charset_leave_what_can_be_read():
    assert read(mail("broken_base64")).text.startswith("The printer is on fire")


def test_of_alternatives_the_plain_text_is_taken_and_html_when_it_says_nothing():
    parts = "--b\nContent-Type: text/plain\n\n{}\n--b\nContent-Type: text/html\n\n<p>as HTML</p>\n--b--\n"
    frame = "From: a@example.com\nContent-Type: multipart/alternative; boundary=b\n\n" + parts

    assert read(frame.format("as text").encode()).text == "as text"
    assert read(frame.format("   ").encode()).text == "as HTML"


# -- replies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plain", "Since this morning, from home, on Wi-Fi and cable."),
        ("gmail_reply", "It is worse now: every two minutes, and the café Wi-Fi as well."),
        ("outlook_reply", "Jetzt druckt er gar nicht mehr. Grüße"),
        ("inline_answers", "The grey one.\n\nSince Monday."),
    ],
)
def test_of_a_reply_what_is_new_is_left(name: str, said: str):
    assert trim(read(mail(name)).text) == said


def test_a_reply_that_is_all_quotation_is_kept_whole():
    assert trim("> Does it work?\n> Yes") == "> Does it work?\n> Yes"


def test_a_sentence_that_looks_like_a_quotation_is_none():
    said = "On Monday I wrote to you.\nFrom: here on it fails.\n-- not a signature\nIt still fails."

    assert trim(said) == said


@given(st.text(alphabet="> -:\nOnwroteFmSda", max_size=300))
def test_a_reply_that_says_something_never_becomes_nothing(text: str):
    assert bool(trim(text)) == bool(text.strip())


# -- robots -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out_of_office", "Auto-Submitted: auto-replied"),
        ("bounce", "a bounce"),
        ("mailing_list", "mailing list: List-Id"),
        ("precedence_bulk", "Precedence: bulk"),
        ("suppress", "X-Auto-Response-Suppress"),
        ("own_mail_back", "our own mail"),
    ],
)
def test_what_no_person_wrote_is_told_by_its_headers(name: str, said: str):
    assert said in auto_replies.why(read(mail(name)), OURS)


@pytest.mark.parametrize(
    "header",
    [
        "From: MAILER-DAEMON@mx.example.com",
        "From: Aura <AURA@localhost>",
        "Return-Path: <>",
        "Content-Type: multipart/report; boundary=b",
        "Auto-Submitted: Auto-Generated",
        "Precedence: LIST",
        "List-Unsubscribe: <mailto:x@example.com>",
        "X-Autoreply: yes",
    ],
)
def test_each_sign_is_enough(header: str):
    assert auto_replies.why(read(f"{header}\n\nText\n".encode()), OURS)


@pytest.mark.parametrize(
    "header", ["Auto-Submitted: no", "Precedence: normal", "Return-Path: <ada@example.com>", "X: y"]
)
def test_what_says_that_a_person_wrote_it_is_believed(header: str):
    assert auto_replies.why(read(f"From: ada@example.com\n{header}\n\nText\n".encode()), OURS) == ""


# -- which mail it is -------------------------------------------------------------------------------------------------


def test_a_mail_is_known_by_its_message_id_whatever_servers_added():
    raw = mail("plain")

    assert read(b"Received: from somewhere\r\n" + raw).identity == read(raw).identity == "CAF0plain@mail.example.com"


def test_without_a_message_id_it_is_known_by_its_content_whatever_servers_changed():
    raw = mail("no_from")
    other = raw.replace(b"open", b"shut")

    assert read(b"Received: here\n" + raw.replace(b"\r\n", b"\n")).identity == read(raw).identity
    assert read(other).identity != read(raw).identity


@pytest.mark.parametrize("odd", ["x" * 5000 + "@example.com", "ü@example.com", "a\tb"])
def test_an_odd_message_id_is_known_by_a_short_digest(odd: str):
    first, second = (read(f"Message-ID: <{odd}{n}>\n\nText".encode()) for n in (1, 2))

    assert first.identity.isascii() and len(first.identity) <= LONGEST_ID
    assert first.identity != second.identity


# -- whatever it is ---------------------------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    part = b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n"
    return b"Content-Type: multipart/mixed; boundary=b0\n\n" + b"".join(part % (n, n + 1) for n in range(levels))


BOMBS = {
    "ten thousand parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nhello\n" * 10_000,
    "two thousand levels": nested(2_000),
    "ninety levels, and lines": nested(90) + b"\n" * 500_000,
    "mails within mails": b"Content-Type: message/rfc822\n\n" * 3_000,
    "comments within comments": b"From: " + b"(" * 20_000 + b"\n\nText",
    "encoded words": b"Subject: " + b"=?utf-8?Q?x?= " * 20_000 + b"\n\nText",
    "parameters": b"Content-Type: text/plain; " + b"a*0=b; " * 100_000 + b"\n\nText",
    "a slow codec": b"Content-Type: text/plain; charset=punycode\n\n" + b"a-" + b"b" * 500_000,
    "unclosed comments": b"Content-Type: text/html\n\n<p>" + b"<!--" * 200_000,
    "headers": b"X: y\n" * 50_000 + b"\nText",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_letter_in_no_time(name: str):
    began = time.process_time()

    letter = read(BOMBS[name])

    # without the limits each takes from ten seconds to hours, or is an error
    assert time.process_time() - began < 6
    assert len(letter.text) <= DESCRIPTION_LIMIT
    assert len(letter.attachments) <= 100


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
def test_any_bytes_are_a_letter_that_can_be_stored(raw: bytes):
    letter = read(raw)

    assert letter.raw == raw
    for said in (letter.identity, letter.sender, letter.subject, letter.text, *(a["name"] for a in letter.attachments)):
        assert storable(said) == said
    assert "\n" not in letter.subject + letter.sender + letter.identity
    assert 0 < len(letter.identity) <= LONGEST_ID
    auto_replies.why(letter, OURS)
    trim(letter.text)


def test_the_corpus_is_there():
    assert len(CORPUS) == len(list(Path(MAILS).iterdir())) > 20
