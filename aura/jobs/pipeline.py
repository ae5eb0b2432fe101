"""A pipeline: a named chain of durable actors through which each key passes, one step after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from dramatiq import Message

from aura.errors import NotFound
from aura.jobs import process_state
from aura.jobs.actor import DurableActor
from db import jobs, transaction
from db.jobs import NewJob


class UnknownPipeline(NotFound):
    """No pipeline of that name was constructed in this process."""


class UnknownStep(NotFound):
    """The pipeline has no step of that name."""


class Pipeline:
    """Durable actors in order; the result of each step and the job of the next are one transaction.

    Constructing a pipeline registers it by its name, so that a step may start one that is defined above it (`start`).
    """

    def __init__(self, name: str, *steps: DurableActor) -> None:
        if not steps:
            raise ValueError(f"the pipeline {name!r} needs at least one step")
        self.name = name
        self.steps = steps
        process_state.pipelines[name] = self

    def send(self, key: int | str, share: int = 0) -> Message[Any]:
        """Enqueue the first step for a key, as part of the open transaction if there is one."""
        return self.send_with_options(args=(key,), share=share)

    def send_with_options(
        self, *, args: tuple[int | str], delay: timedelta | int | None = None, priority: int = 0, share: int = 0
    ) -> Message[Any]:
        """Enqueue the first step with a delay (a timedelta or milliseconds), a priority (0 to 9, higher first) or a share."""
        first, *rest = self.steps
        next_steps = tuple(step.actor_name for step in rest)
        return first.send_with_options(
            args=args, delay=delay, priority=priority, pipeline=self.name, next_steps=next_steps, share=share
        )

    def send_from(self, step: str, key: int | str) -> Message[Any]:
        """Enqueue the named step, which the steps after it follow. Raises UnknownStep."""
        names = [each.actor_name for each in self.steps]
        if step not in names:
            raise UnknownStep(f"{self.name} has no step {step!r}; there are {', '.join(names)}")
        first, *rest = self.steps[names.index(step) :]
        next_steps = tuple(each.actor_name for each in rest)
        return first.send_with_options(args=(key,), pipeline=self.name, next_steps=next_steps)

    def send_many(
        self,
        keys: Iterable[int],
        priority: int = 0,
        traces: Mapping[int, str | None] | None = None,
        shares: Mapping[int, int] | None = None,
    ) -> None:
        """Enqueue the first step for many keys in one statement.

        `traces` holds the traceparents of their requests, `shares` the shares (`db.fair_shares`) by which they take turns.
        """
        first, *rest = (step.actor_name for step in self.steps)
        new = [
            NewJob(
                first,
                str(key),
                pipeline=self.name,
                next_steps=tuple(rest),
                priority=priority,
                traceparent=(traces or {}).get(key),
                share=(shares or {}).get(key, 0),
            )
            for key in keys
        ]
        with transaction() as session:
            jobs.enqueue(session, new)

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}: {' -> '.join(step.actor_name for step in self.steps)})"


def start(name: str, key: int | str, priority: int = 0, share: int = 0) -> None:
    """Enqueue the first step of the pipeline of that name. Raises UnknownPipeline."""
    pipeline = process_state.pipelines.get(name)
    if pipeline is None:
        raise UnknownPipeline(f"no pipeline {name!r}; there are {', '.join(sorted(process_state.pipelines)) or 'none'}")
    pipeline.send_with_options(args=(key,), priority=priority, share=share)
