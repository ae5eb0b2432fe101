"""Domains by the public suffix list."""

from __future__ import annotations

import pytest

from aura.ai.text.domains import is_domain


@pytest.mark.parametrize(
    "name",
    [
        "trap.page",
        "x.support",
        "goo.gl",
        "пример.рф",
        "xn--e1afmkfd.xn--p1ai",
        "a.co.uk",
        "EVIL.Com",
        "a.b.ck",
        "x.onion",
        "pc.local",
    ],
)
def test_a_name_with_a_public_suffix_is_a_domain(name: str):
    assert is_domain(name)


@pytest.mark.parametrize(
    "name", ["report.docx", "node.js", "e.g", "10.0.19045", "ASP.NET", "com", "winword.exe", "a.b.c"]
)
def test_another_name_is_no_domain(name: str):
    assert not is_domain(name)
