"""Clocks jump and Redis loses its keys while tickets come in: nothing is lost or happens twice, and the schedule goes on."""

from __future__ import annotations

import os

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.run import Run
from tests.chaos.schedule import parse, plan
from tests.services import wait_until

SEED = int(os.environ.get("CHAOS_SEED", "1"))
TICKETS = 120
SECONDS = 10.0
FAULTS = "redis_flushed*3,redis_replaced,scheduler_clock_wrong*2,postgresql_clock_back"


@pytest.mark.acceptance
def test_nothing_is_lost_when_clocks_jump_and_redis_is_emptied(build: Build) -> None:
    planned = plan(SEED, SECONDS, parse(FAULTS))
    system = build(workers=1, openai=True)
    verdict = Run(system, Driver(system.port, TICKETS, seconds=SECONDS), planned).go(rest=120)

    report = "\n".join([f"CHAOS_SEED={SEED}", *map(str, planned), str(verdict)])
    assert not verdict.red, report
    assert verdict.counts["tickets"] > TICKETS * 0.8, report

    # a run of a minute that begins after the last fault starts
    [(clock,)] = system.rows("SELECT now()")

    def ran() -> bool:
        return bool(system.rows(f"SELECT id FROM schedule_runs WHERE job = 'recovery' AND scheduled_at > '{clock}'"))

    wait_until(ran, 75, "the schedule stands still")
    [(future,)] = system.rows("SELECT count(*) FROM schedule_runs WHERE scheduled_at > now() + interval '90 s'")
    assert future == 0
