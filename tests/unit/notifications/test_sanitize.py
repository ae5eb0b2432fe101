"""Sanitized text: short, one line, without markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from aura.notifications.sanitize import block, one_line, without_links


@limits(deadline=None)
@given(st.text(max_size=300), st.integers(1, 40))
def test_cut_text_fits_and_stays_the_same_when_cut_again(text: str, limit: int) -> None:
    for cut in (one_line, block):
        once = cut(text, limit)
        assert len(once) <= limit
        assert cut(once, limit) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see HTTPS://evil.example/a", "see hxxps://evil.example/a"),
        ("FTP://evil.example", "fxp://evil.example"),
        ("file://evil.example/share/fix.exe", "file[:]//evil.example/share/fix.exe"),
        ("SMB://evil.example", "SMB[:]//evil.example"),
        ("xhttps://evil.example", "xhttps[:]//evil.example"),
        ("ms-word:ofe|u|https://evil.example/a.docx", "ms-word:ofe|u|hxxps://evil.example/a.docx"),
        (r"run \\192.0.2.7\share\fix.exe", r"run [\\]192.0.2.7\share\fix.exe"),
        (r"\\\\evil.example\share", r"[\\]evil.example\share"),
        (r"the folder C:\temp is full", r"the folder C:\temp is full"),
        ("and/or: 1://2", "and/or: 1://2"),
    ],
)
def test_links_of_any_scheme_and_network_paths_are_defanged(text: str, shown: str) -> None:
    assert without_links(text) == shown


@given(st.text(st.sampled_from("htps:/\\w.fileſK x"), max_size=40))
def test_no_link_is_left(text: str) -> None:
    assert not re.search(r"[a-z]://(?<!hxxp://)(?<!hxxps://)(?<!fxp://)(?<!fxps://)", without_links(text))
