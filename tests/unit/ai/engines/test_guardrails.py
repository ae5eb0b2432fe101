"""What a remote engine says goes one level from the local engine's priority, and its words lead nobody anywhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.guardrails import limit_priority, safe_text
from aura.settings import PRIORITIES

anything = st.text(st.characters(exclude_categories=()), max_size=120)


@pytest.mark.parametrize("local", PRIORITIES)
@pytest.mark.parametrize("remote", PRIORITIES)
def test_a_priority_differs_by_at_most_one_level_from_the_local_one(remote: str, local: str):
    allowed, limited = limit_priority(remote, local)
    far = PRIORITIES.index(remote) - PRIORITIES.index(local)

    assert abs(PRIORITIES.index(allowed) - PRIORITIES.index(local)) <= 1
    assert limited is (abs(far) > 1)
    assert allowed == remote or limited
    # in the direction of the remote priority
    assert (PRIORITIES.index(allowed) - PRIORITIES.index(local)) * far >= 0


def test_an_unknown_priority_becomes_the_local_one():
    assert limit_priority("apocalyptic", "medium") == ("medium", True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "The VPN is down: two tries failed (code 0x80070005).",
            "The VPN is down: two tries failed (code 0x80070005).",
        ),
        ("See https://evil.example/a?b=c#d now", "See [link] now"),
        ("hTTps:evil", "[link]"),
        ("ｈｔｔｐｓ：／／evil.example", "[link]"),
        ("h\u200bttp://evil.example", "[link]"),
        ("//evil.example/x and www.evil.example", "[link] and [link]"),
        ("go to evil.example, bit.ly/3abc or 203.0.113.7:8080/x", "go to [link], [link] or [link]"),
        ("javascript:alert(1) tel:+4917012345678 mailto:x@evil.example", "[link] [link] [link]"),
        ("![pixel](https://evil.example/p.png) click [here](evil.example/x 'y')", "pixel click here"),
        ("<b>bold</b><script>alert(1)</script> <img src=x", "boldalert(1) img src=x"),
        ("ht<b></b>tp://evil.example and ada<i></i>@evil.example", "[link] and [email 1]"),
        ("Mail boss@evil.example or call 0900 1234567", "Mail [email 1] or call [phone 1]"),
        ("winword.exe and report.docx crash on Node.js 20, e.g. in version 10.0.19045", None),
        ("one\ntwo\tthree\x1b[31m\x00\u202e four", "one two three[31m four"),
    ],
)
def test_a_safe_text_has_no_links_and_addresses(text: str, shown: str | None):
    assert safe_text(text, 400) == (text if shown is None else shown)


_LINK = re.compile(r"://|www\.|[<>@]", re.IGNORECASE)
lures = st.sampled_from(
    ["https://evil.example/x", "www.evil.example", "evil@evil.example", "<a href='//evil.example'>", "![x](http://evil.example)",
     "ht<b>tp://evil", "://", "www.", "@", "<", "](", "[", "\u200b", "\u202e", "//"]
)  # fmt: skip


@given(st.lists(anything | lures, max_size=8).map("".join), st.integers(1, 200))
def test_any_text_becomes_one_line_without_links_and_addresses(text: str, limit: int):
    shown = safe_text(text, limit)

    assert not _LINK.search(shown)
    assert len(shown) <= limit
    assert shown.isprintable() or not any(char in shown for char in "\n\r\t\x00\x1b\u200b\u202e")


def test_a_long_text_is_cut():
    assert len(safe_text("word " * 100_000, 400)) <= 400
