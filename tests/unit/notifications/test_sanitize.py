"""Sanitized text: short, one line, without markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from aura.notifications.sanitize import block, one_line


@limits(deadline=None)
@given(st.text(max_size=300), st.integers(1, 40))
def test_cut_text_fits_and_stays_the_same_when_cut_again(text: str, limit: int) -> None:
    for cut in (one_line, block):
        once = cut(text, limit)
        assert len(once) <= limit
        assert cut(once, limit) == once
