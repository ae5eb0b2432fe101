"""Options of the AI actors and deliveries: functions of the settings, resolved when the actor works."""

from __future__ import annotations

from typing import Any

import pytest

import actors
from actors import classify, reanalyze
from aura.settings import Settings


def settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **changes)


LOCAL, REMOTE = settings(), settings(OPENAI_API_KEY="sk-test")


def test_a_remote_engine_gets_one_ticket_for_each_hint() -> None:
    assert classify.batch_size(LOCAL) == LOCAL.jobs_per_hint > 1
    assert classify.batch_size(REMOTE) == 1


def test_a_hint_of_reanalysis_is_short() -> None:
    assert reanalyze.batch_size(LOCAL) == reanalyze.BATCH_LIMIT
    assert reanalyze.batch_size(REMOTE) == 1


@pytest.mark.parametrize("name", ["classify", "reanalyze"])
def test_the_batch_size_of_an_actor_follows_the_settings(name: str) -> None:
    actor = actors.broker.get_actor(name)

    assert actor.batch_size(REMOTE) == 1 < actor.batch_size(LOCAL)


@pytest.mark.parametrize(("name", "share"), [("email", 3 / 8), ("slack", 1 / 4), ("webhook", 1 / 4)])
def test_deliveries_to_other_systems_are_single_and_behind_a_bulkhead(name: str, share: float) -> None:
    actor, sending = actors.broker.get_actor(name), settings(SMTP_URL="smtp://127.0.0.1:1025")

    assert (actor.batch_size(sending), float(actor.option("bulkhead", sending))) == (10, share)


def test_logged_mails_need_neither_bulkhead_nor_single_deliveries() -> None:
    actor = actors.broker.get_actor("email")

    assert (actor.batch_size(LOCAL), actor.option("bulkhead", LOCAL)) == (LOCAL.jobs_per_hint, None)
