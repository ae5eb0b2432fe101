"""Responses with the content of attachments: no browser runs anything in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from aura.attachments.names import safe_name
from aura.web.downloads import content_disposition


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("trace.log", 'attachment; filename="trace.log"'),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("Größe.txt", "attachment; filename=\"Gr__e.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt"),
        ('a"b\\c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
        ("a\r\nX: 1", "attachment; filename=\"a__X: 1\"; filename*=UTF-8''a%0D%0AX%3A%201"),
        ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
    ],
)
def test_a_name_is_written_as_rfc_6266_says(name: str, header: str):
    assert content_disposition("attachment", name) == header


@given(st.text(min_size=1, max_size=100))
def test_every_safe_name_arrives_and_the_header_is_one_line_of_ascii(name: str):
    name = safe_name(name)
    header = content_disposition("attachment", name)

    assert header.isascii() and header.isprintable()
    kind, options = parse_options_header(header)
    assert (kind, options["filename"]) == ("attachment", name)
