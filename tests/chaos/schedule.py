"""The schedule: which fault happens when, decided by the seed alone before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tests.chaos.faults import FAULTS


class UnknownFault(ValueError):
    """There is no such fault; the message lists those there are."""


@dataclass(frozen=True)
class Planned:
    """One fault at one time, with the seed of what it leaves to chance."""

    at: float
    name: str
    seed: int

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.name}"


def plan(seed: int, seconds: float, wanted: Mapping[str, int]) -> list[Planned]:
    """Return each wanted fault so many times, evenly spread over the seconds with some jitter."""
    chance = Random(seed)
    planned = []
    for name, times in wanted.items():
        if name not in FAULTS:
            raise UnknownFault(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}")
        gap = seconds / times if times else 0.0
        for number in range(times):
            at = gap * (number + chance.uniform(0.1, 0.9))
            planned.append(Planned(at, name, chance.getrandbits(32)))
    return sorted(planned, key=lambda each: (each.at, each.name))


def parse(words: str) -> dict[str, int]:
    """Read `worker_killed*30,relay_killed*2,redis_killed`; `all` is every fault but those of a cluster, `cluster` these."""
    wanted: dict[str, int] = {}
    for word in filter(None, (each.strip() for each in words.split(","))):
        name, _, times = word.partition("*")
        several = {"all": False, "cluster": True}
        for each in [key for key, one in FAULTS.items() if one.cluster is several[name]] if name in several else [name]:
            wanted[each] = wanted.get(each, 0) + int(times or 1)
    return wanted
