"""Names of attachments: hostile ones become safe, and ordinary ones stay."""

from __future__ import annotations

import os
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.attachments.names import MAX_BYTES, safe_name


@pytest.mark.parametrize(
    "name",
    ["screenshot.png", "Übersicht März (2).xlsx", "日本語の報告.pdf", "it's_fine-1.tar.gz", "no ending", "e\u0301.txt"],
)
def test_an_ordinary_name_stays(name: str):
    assert safe_name(name) == name.replace("e\u0301", "\xe9")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        (r"..\..\Windows\system.ini", "system.ini"),
        ("/etc/hosts", "hosts"),
        ("folder/", "folder"),
        ("a.txt\r\nSet-Cookie: x=1", "a.txt Set-Cookie_ x=1"),
        ('quo"te<d>.txt', "quo_te_d_.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200b\u2066b\ufeff.txt", "ab.txt"),
        ("nul\0byte.log", "nulbyte.log"),
        (".bashrc", "bashrc"),
        ("trailing. . .", "trailing"),
        ("CON.txt", "_CON.txt"),
        ("lpt1", "_lpt1"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("  many \t\n blanks .txt", "many blanks .txt"),
    ],
)
def test_a_hostile_name_becomes_safe(name: str, safe: str):
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", ".", "..", "../..", "/", "\0", "\u202e\u2066", " \r\n "])
def test_a_name_without_a_visible_character_becomes_the_default(name: str):
    assert safe_name(name) == "attachment"
    assert safe_name(name, "attachment.png") == "attachment.png"


def test_a_long_name_is_cut_and_its_ending_stays():
    for name in ("x" * 300 + ".pdf", "ü" * 300 + ".pdf", "😀" * 100_000 + ".pdf"):
        cut = safe_name(name)
        assert cut.endswith(".pdf") and len(cut.encode()) <= MAX_BYTES
    assert len(safe_name("a." + "b" * 300).encode()) == MAX_BYTES


@given(st.text(max_size=400))
def test_every_name_is_one_printable_part_of_a_path_that_stays_when_it_is_made_safe_again(name: str):
    safe = safe_name(name)

    assert safe not in ("", ".", "..") and os.path.basename(safe) == safe and "\\" not in safe
    assert len(safe.encode()) <= MAX_BYTES
    assert safe.isprintable() and not safe.startswith(".")
    assert Path("folder", safe).parent == Path("folder")
    assert safe_name(safe) == safe


def test_the_time_does_not_grow_with_the_length():
    def seconds(length: int) -> float:
        begun = process_time()
        for _ in range(20):
            safe_name("\u202e../" * length + ".png")
        return process_time() - begun

    assert seconds(400_000) < 20 * max(seconds(4_000), 0.001)
