"""The relay's plan: which jobs to dispatch next, as a pure function of the state that was read from the database.

1. Most urgent first, as far as the window of each actor, the limit of each queue and the round leave room. Paused queues wait.
2. While a batch of an actor's jobs waits inside the broker, the next ones gather until they are a batch too, a quarter of a
   second at most: no worker could claim them sooner, and a hint of many jobs costs little more than a hint of one.
3. A suspect, a job that killed its worker twice, is dispatched last and alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

#: Most jobs of one round.
ROUND = 10_000
#: Most jobs inside the broker of an actor whose jobs are slow: it takes one at a time, or its jobs are asynchronous.
SLOW_WINDOW = 200
#: Seconds: how long a due job waits for others at most while a batch of its actor waits inside the broker.
GATHER = 0.25
#: Seconds between two checks for suspects while other jobs are due.
SUSPECTS_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Bucket:
    """The due jobs of one actor and priority."""

    actor: str
    priority: int
    #: Whether they are a batch, and the seconds for which the oldest is due; needed only if they may gather.
    full: bool = True
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class ActorState:
    """The state of one actor."""

    queue: str
    batch: int = 1
    #: Dispatched and not claimed, so inside the broker; and claimed by workers.
    inside: int = 0
    running: int = 0
    #: Whether the jobs are asynchronous: they are claimed in batches, but each may take seconds.
    asynchronous: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The state that was read from the database, and the dispatches of this round so far."""

    buckets: Sequence[Bucket]
    actors: Mapping[str, ActorState]
    #: Most jobs of one actor inside the broker.
    window: int = 1000
    paused: frozenset[str] = frozenset()
    #: Most jobs of a queue that run or wait inside the broker, by queue.
    limits: Mapping[str, int] = field(default_factory=dict)
    #: Seconds since suspects were last dispatched, or tried to be.
    suspects_waited: float = 0.0
    #: Jobs dispatched in this round, by actor; and whether a bucket with due jobs gave none, so that all are suspects.
    dispatched: Mapping[str, int] = field(default_factory=dict)
    only_suspects: bool = False

    def room(self, actor: str) -> int:
        """Return how many more jobs of the actor may be dispatched."""
        own = self.actors[actor]
        if own.queue in self.paused:
            return 0
        room = self._window_left(actor)
        if (limit := self.limits.get(own.queue)) is not None:
            sharing = [(name, each) for name, each in self.actors.items() if each.queue == own.queue]
            busy = sum(each.inside + each.running + self.dispatched.get(name, 0) for name, each in sharing)
            room = min(room, limit - busy)
        return max(min(room, ROUND - sum(self.dispatched.values())), 0)

    def _window_left(self, actor: str) -> int:
        own = self.actors[actor]
        # the broker keeps the order of hints, so slow jobs that wait there can no longer take turns
        slow = own.batch == 1 or own.asynchronous
        window = min(self.window, SLOW_WINDOW) if slow else self.window
        return window - own.inside - self.dispatched.get(actor, 0)

    def window_full(self) -> bool:
        """Return whether jobs of a batch are due for which the window of their actor has no room, so workers may soon idle."""
        actors = ((each.actor, self.actors[each.actor]) for each in self.buckets)
        return any(
            own.batch > 1 and own.queue not in self.paused and self._window_left(name) <= 0 for name, own in actors
        )

    def gathers(self, bucket: Bucket) -> bool:
        """Return whether the bucket waits for more jobs."""
        own = self.actors[bucket.actor]
        return 1 < own.batch <= own.inside and not (bucket.full or bucket.waited > GATHER)

    def after(self, dispatch: Dispatch, jobs: int) -> State:
        """Return the state after a dispatch that found so many jobs."""
        if dispatch.suspects:
            return replace(self, only_suspects=False, suspects_waited=0.0)
        return replace(
            self,
            buckets=[
                each for each in self.buckets if (each.actor, each.priority) != (dispatch.actor, dispatch.priority)
            ],
            dispatched={**self.dispatched, dispatch.actor: self.dispatched.get(dispatch.actor, 0) + jobs},
            only_suspects=self.only_suspects or not jobs,
        )


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Dispatch at most `limit` jobs of an actor and priority; or else one of the suspects of these actors."""

    actor: str = ""
    priority: int = 0
    limit: int = 0
    suspects: frozenset[str] = frozenset()


def plan(state: State) -> list[Dispatch]:
    """Return the dispatches to make, in order.

    It counts on every bucket giving as many jobs as it may; when one gives fewer, plan again from `State.after`.
    """
    steps: list[Dispatch] = []
    for bucket in state.buckets:
        limit = state.room(bucket.actor)
        if limit and not state.gathers(bucket):
            steps.append(Dispatch(bucket.actor, bucket.priority, limit))
            state = replace(
                state, dispatched={**state.dispatched, bucket.actor: state.dispatched.get(bucket.actor, 0) + limit}
            )
    suspects = frozenset(actor for actor in state.actors if state.room(actor))
    if suspects and (state.only_suspects or state.suspects_waited > SUSPECTS_EVERY):
        steps.append(Dispatch(suspects=suspects))
    return steps
