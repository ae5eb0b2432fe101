"""Quotes and signatures are removed from replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.parse import parse_mail
from aura.mail.replies import strip_quotes
from tests.unit.mail.test_parse import mail


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "Since this morning, from home, on Wi-Fi and cable."),
        ("gmail_reply", "It is worse now: every two minutes, and the café Wi-Fi as well."),
        ("outlook_reply", "Jetzt druckt er gar nicht mehr. Grüße"),
        ("inline_answers", "The grey one.\n\nSince Monday."),
    ],
)
def test_the_quoted_mail_and_the_signature_are_removed(name: str, text: str):
    assert strip_quotes(parse_mail(mail(name)).text) == text


def test_a_reply_of_quotes_only_is_returned_whole():
    assert strip_quotes("> Does it work?\n> Yes") == "> Does it work?\n> Yes"


def test_a_sentence_like_an_attribution_stays():
    text = "On Monday I wrote to you.\nFrom: here on it fails.\n-- not a signature\nIt still fails."

    assert strip_quotes(text) == text


@given(st.text(alphabet="> -:\nOnwroteFmSda", max_size=300))
def test_a_reply_with_text_never_becomes_empty(text: str):
    assert bool(strip_quotes(text)) == bool(text.strip())
