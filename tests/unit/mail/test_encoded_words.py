"""Encoded words and raw bytes in headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.encoded_words import decode_words
from aura.mail.parse import parse_mail
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus =?iso-8859-1?Q?K=F6ln?=", "Grüße aus Köln"),
        ("=?utf-8?Q?T=C3?= =?utf-8?Q?=BCr?=", "Tür"),
        ("=?UTF-8?B?VMO8?=\t=?utf-8?b?cg==?=", "Tür"),
        ("=?koi8-r*ru?B?89TPzA==?=", "Стол"),
        ("=?us-ascii*en'x?Q?Table?=", "Table"),
        ("=?iso-2022-jp?B?GyRCLSElVxsoQg==?=", "①プ"),
        ("=?utf-8?Q?a b?= c", "a b c"),
        ("=?utf-8?Q?Really??=", "Really?"),
        ("=?utf-8?B?VMO8cg?=", "Tür"),
        ("=?utf-8?B?VMO8cg====?=", "Tür"),
        ("=?utf-8?Q?one?=,=?utf-8?Q?two?=", "one,two"),
        ("=?utf-8?B?not base64!!?= =?utf-8?Q?fine?=", "=?utf-8?B?not base64!!?= fine"),
        ("=?utf-8?X?odd?=", "=?utf-8?X?odd?="),
        ("=?klingon?Q?T=C3=BCr?=", "Tür"),
        ("a =? b ?= c", "a =? b ?= c"),
    ],
)
def test_encoded_words_are_decoded_and_broken_ones_stay(text: str, decoded: str) -> None:
    assert decode_words(text) == decoded


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("koi8-r", "koi8-r", "Принтер не печатает"),
        ("windows-1251", "cp1251", "Сканер"),
        ("gb2312", "gbk", "打印机"),
        ("iso-8859-1", "cp1252", "Tür – 5 €"),
        ("iso-8859-1", "utf-8", "Tür"),
        ("shift_jis", "cp932", "①印刷"),
    ],
)
def test_raw_bytes_in_a_header_have_the_charset_of_the_body(charset: str, codec: str, text: str) -> None:
    single = (
        f"From: {text} <a@example.com>\nSubject: {text}\nContent-Type: text/plain; charset={charset}\n\n{text}".encode(
            codec
        )
    )
    inner = f"--b\nContent-Type: text/plain; charset={charset}\n\n{text}\n--b--\n"
    multi = (
        f"From: {text} <a@example.com>\nSubject: {text}\nContent-Type: multipart/mixed; boundary=b\n\n{inner}".encode(
            codec
        )
    )

    for raw in (single, multi):
        parsed = parse_mail(raw)
        assert (parsed.sender_name, parsed.subject, parsed.text, parsed.sender) == (text, text, text, "a@example.com")


@given(st.text("=?utf-8QqBb_ \n\tä", max_size=100))
def test_any_header_is_decoded(text: str) -> None:
    decode_words(text)


@pytest.mark.parametrize("hostile", ["=?a?q?", "=?utf-8?Q?x?= ", "=?a?q?x?", "=?", "?", "=?a?b??"])
def test_hostile_headers_are_decoded_in_linear_time(hostile: str) -> None:
    assert growth(decode_words, hostile * (40_000 // len(hostile))) < MOST
