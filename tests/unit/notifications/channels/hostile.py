"""Hostile texts for the tests of message formats."""

from __future__ import annotations

from hypothesis import strategies as st

HOSTILE = [
    "<!channel> <!here> <@U123> <#C123> <!subteam^S1>",
    "<https://evil.example|your bank> [text](https://evil.example) javascript:alert(1)",
    "*bold* _it_ ~no~ `code` ```block``` > quote\n# heading\n- [ ] list",
    "\u202etxet\u2066 a\u200bb\u2028c",
    "a\ud800b\udfffc\0d",
    "x" * 100_000,
    "😀" * 100_000,
    "&<>" * 5_000,
    "a\n" * 50_000,
    "😀\n" * 5_000,
    "\n" * 9_000,
    '"\\' * 5_000,
    "",
    " \t\r\n",
]
ANY = st.one_of(
    st.text(max_size=300),
    st.tuples(st.sampled_from(["<!channel>", "&", "😀", "a\n", "\u202e", "\ud800", "]("]), st.integers(0, 4000)).map(
        lambda pair: pair[0] * pair[1]
    ),
)
