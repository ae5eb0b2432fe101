"""A ticket that kills every process that works on it is quarantined; the others are completed.

`make test` sends a few hundred, `make chaos` as many as CHAOS_TICKETS says.
"""

from __future__ import annotations

import os

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.oracle import at_rest, judge
from tests.services import wait_until

pytestmark = pytest.mark.acceptance

TICKETS = int(os.environ.get("CHAOS_TICKETS", "200"))
#: The short version does not wait until a dead worker's heartbeat is old.
LONG = "CHAOS_TICKETS" in os.environ
POISON = 17


def test_a_poison_ticket_is_quarantined_after_three_crashes_and_the_others_are_done(build: Build) -> None:
    system = build(workers=2, scheduler=False)
    # Given one ticket among many at which a process ends without a word
    system.failpoints.poison(f"chaos-{POISON} ")
    driver = Driver(system.port, TICKETS).start().finish(120)
    # When all has come to rest

    def rested() -> bool:
        if not LONG:
            system.age_dead_workers()
        return at_rest(system.rows)

    wait_until(rested, 300, lambda: f"{system.rows('SELECT * FROM jobs LIMIT 5')} are left", 0.2)
    # Then it is a dead letter after three crashes, and every other ticket is finished, once
    [(error_type, key)] = system.rows("SELECT error_type, key FROM dead_letters")
    assert (error_type, int(key)) == ("Quarantined", driver.accepted[POISON])
    tried = system.rows(f"SELECT outcome FROM attempts WHERE key = '{key}' ORDER BY id")
    assert [outcome for (outcome,) in tried] == ["crashed", "crashed", "dead"]
    verdict = judge(system.engine, driver, system.post, expected_dead={POISON})
    assert not verdict.red, verdict
    assert len(driver.accepted) + len(driver.unknown) == TICKETS
