"""Transfer encodings with the errors of senders and servers."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.parse import parse_mail, read_attachments
from aura.mail.transfer import decode_transfer, encoding_name, split_uuencoded
from tests.growth import MOST, growth

LONG = "Der Lüfter ist sehr laut, seit Montag, in allen Räumen des dritten Stocks. " * 4
ENCODED = base64.encodebytes(LONG.encode()).decode()


def mail(encoding: str, body: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    return f"From: a@example.com\nContent-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n{body}".encode()


@pytest.mark.parametrize(
    "value",
    [
        "base64",
        "base64 ",
        "BASE64",
        '"base64"',
        "base64; x=y",
        "base64 (as usual)",
        "(really) base64",
        "'base64'",
        " base64\t",
    ],
)
def test_blanks_comments_and_quotation_marks_around_an_encoding_do_not_count(value: str) -> None:
    assert encoding_name(value) == "base64"
    assert parse_mail(mail(value, ENCODED)).text == LONG.strip()


@pytest.mark.parametrize(
    "value",
    ["quoted-printable ", '"Quoted-Printable"', "quoted-printable (x)", "quoted_printable;", "Quoted Printable"],
)
def test_quoted_printable_is_recognised_in_any_spelling(value: str) -> None:
    assert parse_mail(mail(value, "L=C3=BCfter =\n laut")).text == "Lüfter laut".replace(" l", "  l")


@pytest.mark.parametrize(
    "footer",
    [
        "-- \nList info: https://list.example/",
        "_______\nThis mail was scanned.",
        "Scanned by filter",
        "Hinweis für Gäste: Tür zu.",
    ],
)
@pytest.mark.parametrize("text", [LONG, "Kurz und gut, der Lüfter"])
def test_a_plain_footer_behind_base64_is_read_as_text(footer: str, text: str) -> None:
    parsed = parse_mail(mail("base64", base64.encodebytes(text.encode()).decode() + f"\n{footer}\n"))

    assert parsed.text.startswith(text.strip())
    assert parsed.text.endswith(footer.split("\n")[-1])
    assert "\ufffd" not in parsed.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("=\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("\n", " \n"),
        lambda text: "\n" + text,
        lambda text: text.replace("\n", "!\n", 1),
    ],
)
def test_damaged_base64_keeps_its_text(damage) -> None:
    assert parse_mail(mail("base64", damage(ENCODED))).text == LONG.strip()


def test_chunks_of_base64_with_padding_between_them_are_joined() -> None:
    chunks = "".join(base64.b64encode(f"{n} Lüfter, ".encode() * 5).decode() + "\n" for n in range(5))

    assert parse_mail(mail("base64", chunks)).text.count("Lüfter") == 25


def test_text_that_is_not_encoded_stays_as_it_is() -> None:
    assert parse_mail(mail("base64", "The fan is loud, please help.")).text == "The fan is loud, please help."


@pytest.mark.parametrize(
    ("body", "text"),
    [("a=C3=BC= \nb", "aüb"), ("100 =% sure =ZZ", "100 =% sure =ZZ"), ("x=c3=bc", "xü"), ("end=", "end"), ("=E2=82", "\u201a") ],
)  # fmt: skip
def test_broken_quoted_printable_costs_nothing_else(body: str, text: str) -> None:
    parsed = parse_mail(mail("quoted-printable", body)).text

    assert parsed == text or (text == "\u201a" and len(parsed) <= 2)


def uuencoded(content: bytes, name: str = "plan.bin") -> str:
    lines = [binascii.b2a_uu(content[at : at + 45]).decode() for at in range(0, len(content), 45)]
    return f"begin 644 {name}\n{''.join(lines)}`\nend\n"


@pytest.mark.parametrize("encoding", ["x-uuencode", "uuencode", "x-uue"])
def test_a_uuencoded_body_is_decoded(encoding: str) -> None:
    assert parse_mail(mail(encoding, uuencoded("Der Lüfter".encode()))).text == "Der Lüfter"


def test_uuencoded_files_are_cut_from_the_text_and_listed() -> None:
    content = bytes(range(256)) * 3
    raw = mail("7bit", f"See below\n\n{uuencoded(content, 'my plan.png')}\nand\n{uuencoded(b'x', 'a.txt')}Bye")

    assert parse_mail(raw).text == "See below\n\nand\nBye"
    assert [(each.name, each.content_type, each.content) for each in read_attachments(raw)] == [
        ("my plan.png", "image/png", content),
        ("a.txt", "text/plain", b"x"),
    ]


@pytest.mark.parametrize(
    "text", ["begin 644 of the talk\nis a text\nend", "begin 644 x\nno end", "to begin 644 x\nend\n"]
)
def test_text_that_begins_like_uuencode_stays_text(text: str) -> None:
    assert split_uuencoded(text.encode()) == (text.encode(), [])


@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "uuencode", "", "binary"]))
def test_any_body_is_decoded(body: bytes, encoding: str) -> None:
    decode_transfer(body, encoding)
    split_uuencoded(body)


@given(st.binary(max_size=300))
def test_base64_and_uuencode_give_the_bytes_back(content: bytes) -> None:
    assert decode_transfer(base64.encodebytes(content), "base64") == (content, b"")
    if content:
        assert split_uuencoded(uuencoded(content).encode())[1][0].content == content


@pytest.mark.parametrize(
    "hostile", ["A", "A\n", "=\n", "AAAA=\n", "begin 644 x\n", "begin 644 x\nend\n", "!\n", "AAAA\n!\n", "= "]
)
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "uuencode"])
def test_hostile_bodies_take_linear_time(hostile: str, encoding: str) -> None:
    assert growth(lambda text: decode_transfer(text.encode(), encoding), hostile * (200_000 // len(hostile))) < MOST
