"""`aura costs`."""

from __future__ import annotations

import pytest

from db import ai_costs, reading
from tests.commands import Run
from tests.embedded import Hand
from tests.unit.remote_engine import Remote, submit

pytestmark = pytest.mark.usefixtures("database")


def test_costs_and_agreement_of_the_engines(hand: Hand, remote: Remote, run: Run) -> None:
    submit()
    hand.run()
    remote.says = remote.says._replace(disagreement="local: Network, high", cached=True, calls=(), cost=0.0)
    submit("Another one")
    hand.run()

    with reading() as session:
        assert ai_costs.spent_today(session) == pytest.approx(0.01)
        figures = ai_costs.agreement(session, 1)
    assert (figures["verdicts"], figures["remote"], figures["cached"], figures["disagreement"]) == (2, 2, 1, 0.5)
    found = run("costs", "--format", "json").json()
    assert [(row["model"], row["calls"], row["failed"]) for row in found["calls"]] == [("m-1", 1, 0)]
    assert "10.00 US dollars" in run("costs").err
