"""Options of the AI actors: functions of the settings, resolved when the actor works."""

from __future__ import annotations

import pytest

import actors
from actors import classify
from tests.unit.actors.engine_settings import LOCAL, REMOTE


def test_a_remote_engine_gets_one_ticket_for_each_hint() -> None:
    assert classify.batch_size(LOCAL) == LOCAL.jobs_per_hint > 1
    assert classify.batch_size(REMOTE) == 1


@pytest.mark.parametrize("name", ["classify", "reanalyze"])
def test_the_batch_size_of_an_actor_follows_the_settings(name: str) -> None:
    actor = actors.broker.get_actor(name)

    assert actor.batch_size(REMOTE) == 1 < actor.batch_size(LOCAL)
