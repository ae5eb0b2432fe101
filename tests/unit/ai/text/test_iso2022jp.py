"""ISO-2022-JP with the extensions of code page 50221."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.iso2022jp import decode_iso_2022_jp, is_iso_2022_jp
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("印刷できません。", "iso2022_jp"),
        ("Printer が動かない\nVPN も", "iso2022_jp"),
        ("亜腕弌熙", "iso2022_jp"),  # the ends of both levels of JIS X 0208
        ("ァヶΑωАя─", "iso2022_jp"),
        ("丂丄侄龥", "iso2022_jp_1"),  # JIS X 0212
        ("ｱｲｳﾞﾟ", "iso2022_jp_ext"),
        ("plain", "ascii"),
        ("", "ascii"),
    ],
)
def test_a_text_of_a_codec_of_python_is_read(text: str, codec: str):
    assert decode_iso_2022_jp(text.encode(codec)) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'\x1b$B-!-"\x1b(B', "①②"),  # row 13 of NEC
        (b"\x1b$B|q\x1b(B x", "ⅰ x"),  # row 92, IBM characters selected by NEC
        (b"\x1b(I1\x1b(B", "ｱ"),
        (b'\xb1 \x1b$B$"\x1b(B', "ｱ あ"),  # a byte of Shift_JIS before the first escape sequence
        (b'\x1b$@$"\x1b(J\\', "あ\\"),
    ],
)
def test_extensions_are_read(content: bytes, text: str):
    assert decode_iso_2022_jp(content) == text


@pytest.mark.parametrize("content", [b'\x1b$B$"$', b'\x1b$B$"\xff\x1b(B', b'\x1b$B$"\n'])
def test_bytes_that_are_no_character_leave_the_characters_before_them(content: bytes):
    assert decode_iso_2022_jp(content).startswith("あ")


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"\x1b$B", True), (b"x\x1b(I", True), (b"\x1b(B", False), (b"\x1b[31m", False), (b"$B", False), (b"", False)],
)
def test_escape_sequences_of_japanese_characters_are_recognised(content: bytes, found: bool):
    assert is_iso_2022_jp(content) is found


@given(
    st.lists(st.sampled_from([b"\x1b$B", b"\x1b(I", b"\x1b$(D", b"\x1b(B", b"\x1b", b'$"', b"\xff", b"a"])).map(
        b"".join
    )
)
def test_any_bytes_become_text(content: bytes):
    decode_iso_2022_jp(content).encode()


def test_many_escape_sequences_take_linear_time():
    text = '\x1b$B$"\x1b(B' * 2_000
    assert growth(lambda part: decode_iso_2022_jp(part.encode()), text) < MOST
