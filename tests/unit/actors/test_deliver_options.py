"""Options of deliveries: batches and bulkheads by the settings."""

from __future__ import annotations

import pytest

import actors
from tests.unit.actors.engine_settings import LOCAL, settings


@pytest.mark.parametrize(("name", "share"), [("email", 3 / 8), ("slack", 1 / 4), ("webhook", 1 / 4)])
def test_deliveries_to_other_systems_are_single_and_behind_a_bulkhead(name: str, share: float) -> None:
    actor, sending = actors.broker.get_actor(name), settings(SMTP_URL="smtp://127.0.0.1:1025")

    assert (actor.batch_size(sending), float(actor.option("bulkhead", sending))) == (10, share)


def test_logged_mails_need_neither_bulkhead_nor_single_deliveries() -> None:
    actor = actors.broker.get_actor("email")

    assert (actor.batch_size(LOCAL), actor.option("bulkhead", LOCAL)) == (LOCAL.jobs_per_hint, None)
