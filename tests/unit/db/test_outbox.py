"""The outbox: events that wait for the relay."""

from __future__ import annotations

import pytest

from db import outbox

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Network", "network"), ("A.B c", "a_b_c"), ("#*", "other"), ("Größe", "gr_e"), ("", "other")],
)
def test_a_routing_key_has_one_word_for_each_part(text: str, expected: str):
    assert outbox.routing_word(text) == expected
