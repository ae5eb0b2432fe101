"""Asynchronous actors: jobs on the event loop, each claimed, completed, retried and interrupted by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from aura.jobs import process_state
from aura.jobs.async_actor import AsyncActor
from db import jobs, reading, transaction
from db.models import Attempt, Job
from tests.embedded import Hand

pytestmark = pytest.mark.usefixtures("database")


def keys() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Job.key).order_by(Job.id)))


def outcomes() -> list[tuple[str, str]]:
    with reading() as session:
        return sorted((row.key, row.outcome) for row in session.execute(select(Attempt.key, Attempt.outcome)))


def test_jobs_of_a_hint_are_awaited_side_by_side_and_saved_together(hand: Hand, declare: Callable[..., Any]) -> None:
    saved: list[list[tuple[str, str]]] = []
    here: list[str] = []
    all_here = asyncio.Event()

    async def work(job: Any) -> str:
        here.append(job.key)
        if len(here) == 3:
            all_here.set()
        await all_here.wait()
        return job.key.upper()

    actor = declare(
        work, concurrency=3, batch=3, save=lambda _s, done: saved.append([(d.job.key, d.result) for d in done])
    )
    assert isinstance(actor, AsyncActor)
    for key in "abc":
        actor.send(key)
    hand.run()

    assert sorted(sum(saved, [])) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert keys() == []
    assert outcomes() == [(key, "completed") for key in "abc"]
    assert process_state.attempts == {}
