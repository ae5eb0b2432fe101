"""The timeline of a ticket."""

from __future__ import annotations

import pytest

from db import reading
from db.timeline import timeline
from tests.embedded import (
    Hand,
)
from tests.unit.jobs.tickets import accept

pytestmark = pytest.mark.usefixtures("database")


def test_the_timeline_lists_the_whole_pipeline_in_order(hand: Hand):
    ticket_id = accept("Printer on floor 3 is out of toner")
    hand.relay()
    with reading() as session:
        before = timeline(session, ticket_id)
    assert before is not None
    assert [entry["kind"] for entry in before["timeline"]] == ["received"]
    assert [job["actor"] for job in before["jobs"]] == ["intake"]

    hand.run()

    with reading() as session:
        after = timeline(session, ticket_id)
        assert timeline(session, ticket_id + 1) is None
        assert timeline(session, 10**30) is None
    assert after is not None
    assert after["jobs"] == []
    whats = [entry["kind"] for entry in after["timeline"]]
    assert whats[0] == "received"
    assert {"attempt", "verdict", "notification"} <= set(whats)
    times = [entry["at"] for entry in after["timeline"]]
    assert times == sorted(times)
