"""A short run of the harness: tickets come in while processes, servers and connections fail; nothing is lost.

CHAOS_SEED chooses another schedule; the faults are the same.
"""

from __future__ import annotations

import os

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.run import Run
from tests.chaos.schedule import UnknownFault, parse, plan

SEED = int(os.environ.get("CHAOS_SEED", "1"))
TICKETS = 240
SECONDS = 12.0
FAULTS = (
    "worker_killed*2,relay_killed,web_killed,scheduler_killed,redis_killed,rabbitmq_killed,rabbitmq_black_hole,"
    "postgresql_restarted,postgresql_cut,mail_put_off,provider_broken"
)


@pytest.mark.acceptance
def test_nothing_is_lost_and_nothing_happens_twice_whatever_fails(build: Build) -> None:
    planned = plan(SEED, SECONDS, parse(FAULTS))
    system = build(workers=2, openai=True)
    verdict = Run(system, Driver(system.port, TICKETS, seconds=SECONDS), planned).go(rest=240)
    report = "\n".join([f"CHAOS_SEED={SEED}", *map(str, planned), str(verdict)])
    assert not verdict.red, report
    assert verdict.counts["faults"] == len(planned), report
    assert verdict.counts["tickets"] > TICKETS * 0.8, report


def test_the_seed_alone_decides_the_schedule() -> None:
    wanted = parse("all*2")
    assert plan(7, 60, wanted) == plan(7, 60, wanted)
    assert plan(7, 60, wanted) != plan(8, 60, wanted)
    assert all(0 < each.at < 60 for each in plan(7, 60, wanted))
    assert parse("worker_killed*30, relay_killed") == {"worker_killed": 30, "relay_killed": 1}


def test_an_unknown_fault_names_those_there_are() -> None:
    with pytest.raises(UnknownFault, match=r"no fault 'worker_kiled'; there are: .*worker_killed"):
        plan(1, 10, parse("worker_kiled"))
