"""The relay's plan, case by case: a state of the database, and what is dispatched from it."""

from __future__ import annotations

from typing import Any

import pytest

from aura.jobs.relay_plan import (
    GATHER,
    ROUND,
    SLOW_WINDOW,
    SUSPECTS_EVERY,
    ActorState,
    Bucket,
    Dispatch,
    State,
    plan,
)

#: Two actors share the queue `intake`.
ACTORS = {
    "receive": ActorState("intake", batch=10),
    "intake": ActorState("intake", batch=10),
    "classify": ActorState("classify", batch=10),
}


def state(*buckets: Bucket, actors: dict[str, ActorState] | None = None, **values: Any) -> State:
    return State(buckets, ACTORS | (actors or {}), **({"window": 100} | values))


def inside(actor: str, jobs: int, running: int = 0) -> dict[str, ActorState]:
    """Return the actor with so many jobs inside the broker and in workers."""
    return {actor: ActorState(ACTORS[actor].queue, ACTORS[actor].batch, jobs, running)}


def few(waited: float) -> Bucket:
    return Bucket("classify", 0, full=False, waited=waited)


SUSPECTS = Dispatch(suspects=frozenset(ACTORS))

CASES: dict[str, tuple[State, list[Dispatch]]] = {
    "nothing is due": (state(), []),
    "each actor has a window of its own": (
        state(Bucket("classify", 9), Bucket("intake", 0)),
        [Dispatch("classify", 9, 100), Dispatch("intake", 0, 100)],
    ),
    "the most urgent jobs use the window first": (
        state(Bucket("classify", 9), Bucket("classify", 0)),
        [Dispatch("classify", 9, 100)],
    ),
    "jobs inside the broker use the window": (
        state(Bucket("classify", 0), actors=inside("classify", 97)),
        [Dispatch("classify", 0, 3)],
    ),
    "a full window dispatches nothing": (state(Bucket("classify", 0), actors=inside("classify", 100)), []),
    "an actor that takes one job at a time has few inside the broker": (
        state(Bucket("classify", 0), actors={"classify": ActorState("classify", 1, 150)}, window=2000),
        [Dispatch("classify", 0, SLOW_WINDOW - 150)],
    ),
    "a small window is one for single jobs too": (
        state(Bucket("classify", 0), actors={"classify": ActorState("classify", 1, 0)}, window=10),
        [Dispatch("classify", 0, 10)],
    ),
    "jobs beyond a window that was made smaller count as a full one": (
        state(Bucket("classify", 0), actors=inside("classify", 200)),
        [],
    ),
    "a round has a bound": (
        state(Bucket("classify", 0), Bucket("intake", 0), window=ROUND - 1),
        [Dispatch("classify", 0, ROUND - 1), Dispatch("intake", 0, 1)],
    ),
    "a paused queue waits": (
        state(Bucket("intake", 9), Bucket("classify", 0), paused=frozenset({"intake"})),
        [Dispatch("classify", 0, 100)],
    ),
    "a limit counts what runs and what is inside the broker, over all actors of the queue": (
        state(
            Bucket("intake", 0),
            actors=inside("receive", 1, running=2) | inside("intake", 1, running=1),
            limits={"intake": 7},
        ),
        [Dispatch("intake", 0, 2)],
    ),
    "the actors of a queue share its limit": (
        state(Bucket("receive", 0), Bucket("intake", 0), limits={"intake": 3}),
        [Dispatch("receive", 0, 3)],
    ),
    "a limit that was lowered below what runs dispatches nothing": (
        state(Bucket("intake", 0), actors=inside("intake", 0, running=5), limits={"intake": 3}),
        [],
    ),
    "a paused queue with a limit is paused": (
        state(Bucket("intake", 0), paused=frozenset({"intake"}), limits={"intake": 3}),
        [],
    ),
    "few jobs gather while a batch of their actor is inside the broker": (
        state(few(0.0), actors=inside("classify", 10)),
        [],
    ),
    "few jobs go at once when less than a batch is inside": (
        state(few(0.0), actors=inside("classify", 9)),
        [Dispatch("classify", 0, 91)],
    ),
    "a job waits for others for a moment at most": (
        state(few(GATHER + 0.01), actors=inside("classify", 10)),
        [Dispatch("classify", 0, 90)],
    ),
    "a full batch waits for nothing": (
        state(Bucket("classify", 0), actors=inside("classify", 10)),
        [Dispatch("classify", 0, 90)],
    ),
    "jobs of an actor without batches never gather": (
        state(few(0.0), actors={"classify": ActorState("classify", 1, 50)}),
        [Dispatch("classify", 0, 50)],
    ),
    "others go while a bucket gathers": (
        state(few(0.0), Bucket("intake", 0), actors=inside("classify", 10)),
        [Dispatch("intake", 0, 100)],
    ),
    "suspects go last, now and then": (
        state(Bucket("classify", 0, full=False), suspects_waited=SUSPECTS_EVERY + 0.01, window=5),
        [Dispatch("classify", 0, 5), Dispatch(suspects=frozenset({"receive", "intake"}))],
    ),
    "suspects go at once when no other job is due": (state(only_suspects=True), [SUSPECTS]),
    "a suspect of a paused queue waits": (
        state(only_suspects=True, paused=frozenset({"intake"})),
        [Dispatch(suspects=frozenset({"classify"}))],
    ),
}


@pytest.mark.parametrize(("before", "expected"), CASES.values(), ids=CASES)
def test_the_plan_of_a_state(before: State, expected: list[Dispatch]):
    assert plan(before) == expected


def test_a_bucket_that_gave_fewer_jobs_leaves_its_room_to_the_next():
    before = state(Bucket("classify", 9), Bucket("classify", 5), Bucket("classify", 0))
    [first] = plan(before)

    after = before.after(first, 30)

    assert plan(after) == [Dispatch("classify", 5, 70)]
    assert plan(after.after(Dispatch("classify", 5, 70), 70)) == []


def test_a_bucket_of_suspects_alone_asks_for_one_job_and_then_for_none():
    before = state(Bucket("classify", 0))
    [first] = plan(before)

    after = before.after(first, 0)

    assert plan(after) == [SUSPECTS]
    assert plan(after.after(SUSPECTS, 1)) == []


FULL: dict[str, tuple[State, bool]] = {
    "no job is due": (state(actors=inside("classify", 100)), False),
    "the window has room": (state(Bucket("classify", 0), actors=inside("classify", 99)), False),
    "the window is full": (state(Bucket("classify", 0), actors=inside("classify", 100)), True),
    "the window of another actor is full": (state(Bucket("intake", 0), actors=inside("classify", 100)), False),
    "the queue is paused": (
        state(Bucket("classify", 0), actors=inside("classify", 100), paused=frozenset({"classify"})),
        False,
    ),
    "slow single jobs fill the window": (
        state(Bucket("classify", 0), actors={"classify": ActorState("classify", 1, 200)}),
        False,
    ),
}


@pytest.mark.parametrize(("given", "full"), FULL.values(), ids=FULL)
def test_a_full_window_of_batches_is_polled_faster(given: State, full: bool):
    assert given.window_full() is full
