"""The outbox: events that wait for the relay."""

from __future__ import annotations

import pytest

import actors
from db import outbox
from db.models import Attempt
from tests.embedded import (
    Hand,
    count,
)
from tests.unit.jobs.tickets import accept

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Network", "network"), ("A.B c", "a_b_c"), ("#*", "other"), ("Größe", "gr_e"), ("", "other")],
)
def test_a_routing_key_has_one_word_for_each_part(text: str, expected: str):
    assert outbox.routing_word(text) == expected


def test_embedded_mode_records_no_events(hand: Hand):
    from db.models import OutboxEvent

    accept("Mailbox is full")
    hand.run()

    assert count(OutboxEvent) == 0
    assert count(Attempt) > 0
    assert actors.broker.get_declared_actors() >= {"receive", "intake", "classify", "reanalyze", "notify", "email"}
