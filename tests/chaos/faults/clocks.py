"""Clocks jump, by libfaketime: that of the scheduler's machine, and that of the database."""

from __future__ import annotations

from random import Random

from tests import faketime
from tests.chaos.faults.registry import fault, for_a_moment
from tests.chaos.system import System

#: By how much a clock is wrong, in seconds.
OFFSETS = ("+259200", "-259200", "+600", "-600")


@fault("scheduler")
def scheduler_clock_wrong(system: System, chance: Random) -> None:
    """The clock of the scheduler's machine is hours or days off for a moment, and right again."""
    system.scheduler_clock.write_text(f"{chance.choice(OFFSETS)}\n")
    for_a_moment(system, chance)
    system.scheduler_clock.write_text("+0\n")


@fault("postgresql")
def postgresql_clock_back(system: System, chance: Random) -> None:
    """PostgreSQL fails over to a server that is ten minutes behind, and later to one that is right."""
    for environment in (faketime.with_offset("-600"), {}):
        system.postgresql.stop()
        system.postgresql.environment = environment
        system.postgresql.start()
        for_a_moment(system, chance)


@fault("postgresql")
def postgresql_clock_ahead(system: System, chance: Random) -> None:
    """PostgreSQL fails over to a server that is ten minutes ahead, and back: what was written meanwhile is in the future."""
    for environment in (faketime.with_offset("+600"), {}):
        system.postgresql.stop()
        system.postgresql.environment = environment
        system.postgresql.start()
        for_a_moment(system, chance)
