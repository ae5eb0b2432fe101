"""Unsubscribe tokens: what they contain, and which ones are refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.notifications.unsubscribe import MAX_LENGTH, InvalidToken, Unsubscribe, footer, make_token, read_token

KEY = b"a key of this installation"
WHAT = Unsubscribe("ada@example.com", 17)


@given(st.emails(), st.integers(0, 2**63 - 1))
def test_a_token_holds_its_address_and_ticket(address: str, ticket: int):
    token = make_token(KEY, Unsubscribe(address, ticket))

    assert read_token(KEY, token) == Unsubscribe(address.lower(), ticket)
    assert token.replace("-", "").replace("_", "").isalnum() and len(token) <= MAX_LENGTH


def test_the_longest_address_fits():
    address = f"{'ä' * 64}@{'é' * 180}.example"
    assert read_token(KEY, make_token(KEY, Unsubscribe(address))).address == address


def test_a_token_without_the_key_is_refused():
    token = make_token(KEY, WHAT)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    forged = base64.urlsafe_b64encode(raw.replace(b"ada@", b"eve@")).decode().rstrip("=")

    for key, each in ((KEY, forged), (b"another key", token), (b"", token), (b"", make_token(b"", WHAT))):
        with pytest.raises(InvalidToken):
            read_token(key, each)


@given(
    st.one_of(st.text(max_size=900), st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
)
def test_any_other_text_is_refused(text: str):
    with pytest.raises(InvalidToken):
        read_token(KEY, text)


@pytest.mark.parametrize("language", ["en", "de", "fr", ""])
def test_each_mail_shows_its_link(language: str):
    for what in (WHAT, Unsubscribe("ada@example.com")):
        assert footer(language, what, "https://aura.example/unsubscribe/x").endswith(
            "\nhttps://aura.example/unsubscribe/x\n"
        )
    assert footer(language, WHAT, "") != footer(language, Unsubscribe("ada@example.com"), "")
