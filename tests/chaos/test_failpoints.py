"""At every step of a job's life an operation fails, and a process dies; nothing is lost and nothing happens twice.

`make chaos` does both at each failpoint as often as CHAOS_TIMES says, each time in another order. `make test` does
either at each, once; CHAOS_SEED chooses which.
"""

from __future__ import annotations

import os
from itertools import cycle
from random import Random

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.failpoints import POINTS
from tests.chaos.oracle import at_rest, judge
from tests.services import wait_until

pytestmark = pytest.mark.acceptance

TIMES = int(os.environ.get("CHAOS_TIMES", "1"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
#: Tickets a second that come in all the time; more of them than are ever sent.
RATE = 8
ENDLESS = 100_000


@pytest.mark.parametrize("turn", range(TIMES))
def test_no_ticket_is_lost_at_any_failpoint(build: Build, turn: int) -> None:
    system = build(workers=2, scheduler=False)
    system.subscribe("webhook")
    # Given a steady stream of tickets, each of which is sent to a webhook
    driver = Driver(system.port, ENDLESS, seconds=ENDLESS / RATE, clients=2).start()
    # When operations fail at each point, and processes die at each point
    shuffled = Random(SEED + turn).sample(POINTS, len(POINTS))
    both = [(point, action) for action in ("fail", "die") for point in shuffled]
    either = list(zip(shuffled, cycle(("fail", "die")), strict=False))
    for point, action in both if TIMES > 1 else either:
        system.failpoints.arm(point, action)
        system.failpoints.await_fired(point)
        if TIMES == 1:
            system.age_dead_workers()
    driver.close()
    # Then every ticket is finished, once
    wait_until(lambda: at_rest(system.rows), 240, "the system never comes to rest", 0.2)
    # but for what was under way in three crashes by chance, which a person replays
    system.aura("dead-letters", "replay", "--all")
    wait_until(lambda: at_rest(system.rows), 240, "the replayed jobs never come to rest", 0.2)
    assert not system.rows("SELECT error FROM dead_letters WHERE error_type <> 'Quarantined'")
    verdict = judge(system.engine, driver, system.post, desk=system.desk)
    assert not verdict.red, verdict
    assert verdict.counts["tickets"] > len(POINTS) / 2
    assert system.supervisor.restarts.total() >= len(POINTS) / 4
