"""Strategies for texts to mask."""

from __future__ import annotations

from hypothesis import strategies as st

#: Beginnings of other values, which must not take a part of the value after them.
beginnings = st.sampled_from(
    ["7 ", "2. ", "030 12 ", "0170 1", "+49 ", "4111 ", "4111-", "DE89 ", "a@", "@", '"', "'", "password: ", "pin ", "pw is ",
     "[email 1]", "eyJ", "sk-", "AKIA", "(", "[at]", "Bearer ", "24.11.2026 ", "192.168.", "\\", "/", "=", "-", "_"]
)  # fmt: skip


text = st.text(st.characters(exclude_categories=()), max_size=40)


anything = st.one_of(text, st.lists(text | beginnings, max_size=5).map("".join))
