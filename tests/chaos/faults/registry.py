"""The registry: every fault by its name, with its group.

Faults of one group happen one after the other, because a server cannot be killed twice at once; those of different
groups overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.system import System

#: Seconds that something stays broken.
MOMENT = (0.5, 2.0)

#: Breaks something, leaves it broken for a moment where that makes sense, and repairs it.
Happen = Callable[[System, Random], None]


@dataclass(frozen=True)
class Fault:
    """One way to break the system."""

    name: str
    group: str
    happen: Happen
    #: Whether it needs a RabbitMQ cluster; the others of RabbitMQ need a single node.
    cluster: bool = False


FAULTS: dict[str, Fault] = {}


def fault(group: str, name: str = "", *, cluster: bool = False) -> Callable[[Happen], Happen]:
    """Register a fault under a name, or under its function's."""

    def register(happen: Happen) -> Happen:
        known_as = name or happen.__name__
        FAULTS[known_as] = Fault(known_as, group, happen, cluster)
        return happen

    return register


def for_a_moment(system: System, chance: Random) -> None:
    """Wait while something is broken, or until the run is over."""
    system.over.wait(chance.uniform(*MOMENT))
