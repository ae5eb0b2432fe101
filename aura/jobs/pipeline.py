"""A pipeline: a named chain of steps that a ticket passes one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from dramatiq import Message

from aura.jobs.actor import DurableActor
from db import jobs, transaction
from db.jobs import NewJob


class Pipeline:
    """Durable actors in order; each step's result and the promise of the next are one transaction."""

    def __init__(self, name: str, *steps: DurableActor) -> None:
        if not steps:
            raise ValueError(f"the pipeline {name!r} needs at least one step")
        self.name = name
        self.steps = steps

    def send(self, ticket_id: int) -> Message[Any]:
        """Promise the whole journey of a ticket, as part of the open transaction if there is one."""
        return self.send_with_options(args=(ticket_id,))

    def send_with_options(
        self, *, args: tuple[int], delay: timedelta | int | None = None, priority: int = 0
    ) -> Message[Any]:
        """Promise the journey with a delay (a timedelta or milliseconds) or a priority (0 to 9, higher first)."""
        first, *rest = self.steps
        next_steps = tuple(step.actor_name for step in rest)
        return first.send_with_options(
            args=args, delay=delay, priority=priority, pipeline=self.name, next_steps=next_steps
        )

    def send_from(self, step: str, ticket_id: int) -> Message[Any]:
        """Promise the journey from a step on, such as classify. Raises LookupError for a step that there is not."""
        names = [each.actor_name for each in self.steps]
        if step not in names:
            raise LookupError(f"{self.name} has no step {step!r}; there are {', '.join(names)}")
        first, *rest = self.steps[names.index(step) :]
        next_steps = tuple(each.actor_name for each in rest)
        return first.send_with_options(args=(ticket_id,), pipeline=self.name, next_steps=next_steps)

    def send_many(
        self, ticket_ids: Iterable[int], priority: int = 0, traces: Mapping[int, str | None] | None = None
    ) -> None:
        """Promise the journeys of many tickets in one statement; `traces` holds the traceparents of their requests."""
        first, *rest = (step.actor_name for step in self.steps)
        promises = [
            NewJob(
                first,
                str(ticket_id),
                pipeline=self.name,
                next_steps=tuple(rest),
                priority=priority,
                traceparent=(traces or {}).get(ticket_id),
            )
            for ticket_id in ticket_ids
        ]
        with transaction() as session:
            jobs.enqueue(session, promises)

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}: {' -> '.join(step.actor_name for step in self.steps)})"
