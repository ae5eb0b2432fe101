"""Idempotency keys: reserved once, with the request and the ticket of their first use."""

from __future__ import annotations

import pytest

from db import idempotency, transaction
from db.idempotency import KeyUse, PreviousUse
from tests.embedded import crash_before_commit

pytestmark = pytest.mark.usefixtures("database")


def reserve(*uses: KeyUse) -> dict[str, PreviousUse]:
    with transaction() as session:
        previous = idempotency.reserve(session, uses, 1.0)
        new = [use.key for use in uses if use.key not in previous]
        idempotency.record_tickets(session, {key: 17 + place for place, key in enumerate(new)})
        return previous


def test_a_new_key_has_no_previous_use():
    assert reserve() == {}
    assert reserve(KeyUse("a", "1"), KeyUse("b", "2")) == {}


def test_a_repeated_key_returns_the_request_and_the_ticket_of_its_first_use():
    reserve(KeyUse("a", "1"))

    assert reserve(KeyUse("b", "2"), KeyUse("a", "another request")) == {"a": PreviousUse("1", 17)}
    assert reserve(KeyUse("b", "2")) == {"b": PreviousUse("2", 17)}


def test_a_rolled_back_reservation_is_free_again():
    with crash_before_commit() as session:
        idempotency.reserve(session, [KeyUse("a", "1")], 1.0)

    assert reserve(KeyUse("a", "2")) == {}
