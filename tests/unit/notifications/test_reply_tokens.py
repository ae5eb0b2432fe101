"""Reply tokens: only their owner's, of one ticket, and in any case of letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.notifications.reply_tokens import LOCAL_LIMIT, find_token, make_token, owners, plus_address, plus_part

KEY, ADA, BOB = b"k" * 32, "ada@example.com", "bob@example.com"


@pytest.mark.parametrize("address", [ADA, "ADA@Example.com", " ada@example.com "])
def test_a_token_belongs_to_its_address_in_any_case(address: str) -> None:
    token = find_token(make_token(KEY, 17, address).upper())
    assert token is not None and token.ticket_id == 17
    assert owners(KEY, token, [BOB, ADA]) == [ADA]


def test_tokens_differ_by_ticket_address_and_key() -> None:
    made = {make_token(key, number, each) for key in (KEY, b"other") for number in (1, 2, 12) for each in (ADA, BOB)}
    assert len(made) == len({each.partition("-")[2] for each in made}) == 12
    token = find_token(make_token(KEY, 17, ADA))
    assert token is not None
    assert owners(b"other", token, [ADA]) == owners(KEY, token._replace(ticket_id=18), [ADA]) == []


def test_each_changed_character_makes_a_token_invalid() -> None:
    made = make_token(KEY, 17, ADA)
    for place in range(3, len(made)):
        token = find_token(made[:place] + ("a" if made[place] != "a" else "b") + made[place + 1 :])
        assert token is not None and owners(KEY, token, [ADA]) == []


@given(st.text("0123456789-abcz2 \n\u0663\u017f", max_size=80))
def test_any_text_is_a_token_or_none(text: str) -> None:
    token = find_token(text)
    assert token is None or (text.isascii() and owners(KEY, token, [ADA]) == [])


def test_a_plus_address_carries_the_token_if_it_fits() -> None:
    token = make_token(KEY, 10**17, ADA)
    for own in ("desk@example.org", "support-desk@example.org"):
        made = plus_address(own, token)
        assert (plus_part(own, made), plus_part(own, made.upper())) == (token, token)
        assert len(made.partition("@")[0]) <= LOCAL_LIMIT
    assert plus_address(f"{'d' * 60}@example.org", token) == f"{'d' * 60}@example.org"


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("desk@example.org", ""),
        ("Desk+a+b@Example.org", "a+b"),
        ("desk+x@example.com", None),
        ("xdesk+x@example.org", None),
        ("deskx@example.org", None),
        ("", None),
    ],
)
def test_the_part_behind_the_plus_sign_of_our_address(address: str, part: str | None) -> None:
    assert plus_part("desk@example.org", address) == part
    assert plus_part("", address) is None
