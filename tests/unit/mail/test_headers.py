"""Headers with errors: an odd line costs itself, and the headers below it count."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.headers import MAX_HEADERS, MAX_LINES, split_headers
from aura.mail.parse import parse_mail
from tests.growth import MOST, growth

REST = "From: Ann <ann@example.com>\nSubject: Lamp\nContent-Type: text/plain; charset=utf-8\n\nIt flickers."


@pytest.mark.parametrize(
    "first",
    [
        "X-Report: scanned\nby=filter; score: 3\nverdict=clean\n",
        "no colon at all here\n",
        "autolearn=ham\n\twrapped: yes\n",
        "X-Virus Scan: passed\n and wrapped\n",
        "X Y Z: 1\n",
        "Überprüft: ja\n",
        "X-\xe4: latin\n",
        ">From ann@example.com Mon Nov 30 08:00:00 2026\n",
        "From ann@example.com Mon Nov 30 08:00:00 2026\n",
        "From - Mon Nov 30 08:00:00 2026\nX-Mozilla-Status: 0001\n",
        "\ufeff",
        "\n\n",
        "\r\n \r\n",
        "\ufeff\n",
        ": no name\n",
        "X-Empty:\n",
        "X-Blank: a\n \n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
def test_headers_below_an_odd_line_count(first: str, end: str) -> None:
    parsed = parse_mail((first + REST).replace("\n", end).encode())

    assert (parsed.sender, parsed.sender_name, parsed.subject) == ("ann@example.com", "Ann", "Lamp")
    assert parsed.text == "It flickers."


@pytest.mark.parametrize(
    "odd", ["odd line\n", "X-Virus Scan: passed\n", ">From ann Mon 08:00\n", "Größe: 1\n", "tests=A,B\n", "\twrapped\n"]
)
@pytest.mark.parametrize("after", ["From", "Subject"])
def test_an_odd_line_between_headers_costs_itself(odd: str, after: str) -> None:
    raw = "\n".join(f"{line}\n{odd}".rstrip("\n") if line.startswith(after) else line for line in REST.split("\n"))

    assert parse_mail(raw.encode()).text == "It flickers."
    assert parse_mail(raw.encode()).sender == "ann@example.com"


@pytest.mark.parametrize("colon", [" :", "\t:", "  : ", ":", ":\t"])
def test_blanks_around_the_colon_do_not_count(colon: str) -> None:
    raw = f"From{colon}ann@example.com\nSubject{colon}Lamp\nContent-Type{colon}text/html\n\n<p>a</p>"
    parsed = parse_mail(raw.encode())

    assert (parsed.sender, parsed.subject, parsed.text) == ("ann@example.com", "Lamp", "a")


def test_an_odd_line_in_the_headers_of_a_part_costs_itself() -> None:
    part = "--b\nX-Scan Result: ok\nContent-Type : text/html\nodd=1\nContent-Transfer-Encoding: quoted-printable\n\n"
    raw = f"From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n{part}<p>Gr=C3=BC=C3=9Fe</p>\n--b--\n"

    assert parse_mail(raw.encode()).text == "Grüße"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("From: a@example.com\nSubject: x\nThe lamp flickers.\n\nSince Monday.", "The lamp flickers.\n\nSince Monday."),
        ("From: a@example.com\nSubject: x\nDear Bob: the lamp flickers.", "Dear Bob: the lamp flickers."),
        ("From: a@example.com\n \nThe lamp: flickers.\n\nSince Monday.", "The lamp: flickers.\n\nSince Monday."),
        ("just a line\nand another\n\nthird", "just a line\nand another\n\nthird"),
        ("\nhello\n\nworld", "hello\n\nworld"),
    ],
)
def test_text_without_a_blank_line_before_it_is_not_lost(raw: str, text: str) -> None:
    assert parse_mail(raw.encode()).text == text


def test_lines_of_old_mac_programs_are_read() -> None:
    assert parse_mail(REST.replace("\n", "\r").encode()).subject == "Lamp"


@given(
    st.lists(
        st.sampled_from(
            [b"From: a\n", b"\n", b" \n", b"x y\n", b"a=b\n", b"\tz\n", b"\xff:\n", b">From x\n", b"A :b\r\n", b"\0"]
        )
    )
)
def test_no_byte_of_the_text_is_lost_or_repeated(lines: list[bytes]) -> None:
    raw = b"".join(lines)
    headers, body = split_headers(raw)

    assert raw.endswith(body)
    assert headers or body == raw


@pytest.mark.parametrize("hostile", ["a\n", "X:\n", " \n", "a: b\n \n", "\n", "\r", "From: a\n\t", "x" * 100, "=?\n"])
def test_hostile_headers_take_linear_time(hostile: str) -> None:
    assert growth(lambda text: split_headers(text.encode()), hostile * (200_000 // len(hostile))) < MOST


# -- limits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["X: y\n", "X:\n", " continued\n", "no header\n", "X-{}: y\n", "To: a@example.com,\n b@example.com\n"]
)
def test_a_mail_of_header_lines_has_bounded_headers_and_keeps_its_text(line: str) -> None:
    many = "".join(line.replace("{}", str(number)) for number in range(40_000))
    headers, body = split_headers(f"From: ann@example.com\n{many}\nIt flickers.".encode())

    assert headers[0].name == "from" and len(headers) <= MAX_LINES
    assert sum(len(each.value) for each in headers) <= MAX_HEADERS
    assert body.endswith(b"It flickers.")


def test_the_memory_of_the_headers_of_a_mail_does_not_grow_with_their_lines() -> None:
    def peak(lines: int) -> int:
        raw = b"From: ann@example.com\n" + b"X: y\n" * lines + b"\nText"
        tracemalloc.start()
        try:
            split_headers(raw)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(MAX_LINES)
    # all that grows is the block of bytes that is cut
    assert peak(8 * MAX_LINES) - peak(2 * MAX_LINES) <= MAX_HEADERS
    assert peak(128 * MAX_LINES) - peak(32 * MAX_LINES) <= MAX_HEADERS
