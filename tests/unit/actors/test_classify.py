"""Options of the AI actors: functions of the settings, resolved when the actor works."""

from __future__ import annotations

import pytest

import actors
from actors import classify
from tests.unit.actors.engine_settings import LOCAL, ONE_BY_ONE, settings


def test_the_tickets_of_a_hint_for_a_remote_engine_are_a_small_part_of_its_calls_in_flight() -> None:
    assert classify.batch_size(LOCAL) == LOCAL.jobs_per_hint > 1
    assert classify.batch_size(settings(OPENAI_API_KEY="sk-test", ai_concurrency=100)) == 5
    assert classify.batch_size(settings(OPENAI_API_KEY="sk-test", ai_concurrency=8)) == 1
    assert classify.batch_size(ONE_BY_ONE) == 1


@pytest.mark.parametrize("name", ["classify", "reanalyze"])
def test_jobs_are_asynchronous_with_a_remote_engine_alone(name: str) -> None:
    concurrency = actors.broker.get_actor(name).options["concurrency"]

    assert concurrency(LOCAL) == concurrency(ONE_BY_ONE) == 0
    assert concurrency(settings(OPENAI_API_KEY="sk-test", ai_concurrency=7)) == 7


def test_an_attempt_may_wait_for_an_equal_call_and_then_make_its_own() -> None:
    limit = actors.broker.get_actor("classify").options["time_limit"]

    assert limit(LOCAL) == 60_000
    assert limit(settings(OPENAI_API_KEY="sk-test", AI_TIMEOUT=100)) > 200_000


@pytest.mark.parametrize("name", ["classify", "reanalyze"])
def test_the_batch_size_of_an_actor_follows_the_settings(name: str) -> None:
    actor = actors.broker.get_actor(name)

    assert actor.batch_size(ONE_BY_ONE) == 1 < actor.batch_size(LOCAL)
