"""Selection of tickets whose verdict is stale, after changes and after an outage of the remote engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from aura.ai import EngineError
from db import transaction
from db.models import Ticket, VerdictRecord
from db.time import from_now
from pipelines.reanalysis import reclassify
from tests.embedded import Hand
from tests.unit.remote_engine import Remote, submit

pytestmark = pytest.mark.usefixtures("database")


def test_fallback_verdicts_are_reclassified_when_the_remote_engine_is_back(
    hand: Hand, remote: Remote, configure: Callable[..., Any]
) -> None:
    configure(OPENAI_API_KEY="sk-test", AURA_AI_CONCURRENCY="0")  # the stand-in has no asynchronous part
    remote.says = remote.says._replace(engine="local", model="local-1", calls=(), fallback="openai: down")
    stepped_in, fine = submit(), submit("Laptop broken", "bob@example.com")
    hand.run()
    minutes = {stepped_in: 15, fine: 5}
    with transaction() as session:
        for ticket, ago in minutes.items():
            then = {"created_at": from_now(-60 * ago)}
            session.execute(update(VerdictRecord).where(VerdictRecord.ticket_id == ticket).values(then))
            session.execute(update(Ticket).where(Ticket.id == ticket).values(classified_at=from_now(-60 * ago + 1)))

    assert reclassify() == 1, "the other one is too young"
    remote.error = EngineError("the model refused to answer", permanent=True)
    hand.run()
    assert reclassify() == 0, "it was looked at, and there was no better answer"


def test_without_an_api_key_no_ticket_is_reclassified(hand: Hand) -> None:
    assert reclassify() == 0
