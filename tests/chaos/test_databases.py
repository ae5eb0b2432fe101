"""The database fails over, turns read-only, is behind a pooler, or has no space; nothing is lost and nothing happens twice.

`make chaos` runs each with more tickets; here each is short.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.faults.databases import SHORT_OF_WRITES
from tests.chaos.run import Run
from tests.chaos.schedule import parse, plan
from tests.chaos.system import System
from tests.postgresql_servers import SmallDiskPostgreSQL, Standby, documented_poolers
from tests.services import PostgreSQL, RabbitMQ, Redis, wait_until

pytestmark = pytest.mark.acceptance

LONG = int(os.environ.get("CHAOS_TIMES", "1")) > 1
SEED = int(os.environ.get("CHAOS_SEED", "1"))
TICKETS, SECONDS = (1000, 40.0) if LONG else (120, 6.0)
#: Seconds over which tickets arrive: also while the last fault is over, so that its recovery can be measured.
ARRIVING = SECONDS + 2 * SHORT_OF_WRITES
#: Seconds that the rest may take.
REST = 600 if LONG else 120


@pytest.fixture
def own(tmp_path: Path, rabbitmq: RabbitMQ, redis: Redis) -> Build:
    """Return a function that makes a system on a PostgreSQL of its own, which `with` boots and closes."""

    def make(server: PostgreSQL, **options: Any) -> System:
        system = System(tmp_path, rabbitmq.start(), server, redis.start(), **options)
        try:
            return system.boot()
        except BaseException:
            system.close()
            raise

    return make


def green(system: System, faults: str) -> None:
    """Post tickets while these faults happen, and check that nothing is lost and nothing happened twice.

    While the database cannot store a ticket, requests get 503 with Retry-After.
    """
    planned = plan(SEED, SECONDS, parse(faults))
    driver = Driver(system.port, TICKETS, seconds=ARRIVING)
    verdict = Run(system, driver, planned).go(rest=REST)
    report = "\n".join([*map(str, planned), str(verdict)])
    print(report)
    assert not verdict.red, report
    assert verdict.counts["tickets"] > TICKETS * 0.8, report
    assert {status for _, status in driver.answers} <= {0, 202, 503}, report
    assert not driver.without_retry_after, report


def test_a_read_only_database_and_a_promoted_synchronous_standby_lose_nothing(own: Build):
    with PostgreSQL() as primary, Standby(primary) as standby, own(primary, standby=standby) as system:
        standby.synchronous()
        green(system, "postgresql_read_only,postgresql_promoted")


def test_a_restart_of_the_database_delays_no_ticket_as_if_its_hint_were_lost(build: Build):
    system = build(workers=1)
    green(system, "postgresql_restarted*2,postgresql_killed")
    # a hint that waits for the database is neither acked nor lost; lost ones are found after 15 seconds
    assert "lost hints redispatched" not in (system.folder / "worker-1.log").read_text()


def test_a_promoted_standby_that_lagged_gives_no_number_twice(own: Build):
    with PostgreSQL() as primary, Standby(primary) as standby, own(primary, standby=standby) as system:
        before = Driver(system.port, 30).start().finish(60)
        wait_until(standby.caught_up, 20, "the standby receives everything")
        standby.hold()
        gap = Driver(system.port, 30, first=1001).start().finish(60)

        primary.kill()
        standby.promote()
        system.postgresql, system.standby = standby, None
        after = Driver(system.port, 30, first=2001).start().finish(90)

        given = [*before.accepted.values(), *gap.accepted.values(), *after.accepted.values()]
        assert gap.accepted
        assert after.accepted
        assert len(given) == len(set(given)), "a number was given twice"
        present = {ticket for (ticket,) in system.rows("SELECT id FROM tickets")}
        assert set(after.accepted.values()) | set(before.accepted.values()) <= present
        assert not present & set(gap.accepted.values()), "the standby received nothing of the gap"
        assert system.scalar("SELECT count(*) FROM audit_log WHERE action = 'database.promoted'") == 1


@pytest.mark.parametrize(
    ("mode", "prepare"), [each for each in documented_poolers() if LONG or each != ("session", "false")]
)
def test_a_pooler_with_each_documented_setting_loses_nothing(build: Build, mode: str, prepare: str):
    # in session mode each connection of the programs occupies one of the server, of which PgBouncer opens 20
    workers = 1 if mode == "session" else 2
    green(build(pooler=mode, prepare=prepare == "true", workers=workers), "pooler_restarted,sessions_terminated")


@pytest.mark.skipif(not SmallDiskPostgreSQL.possible(), reason="needs the right to mount a small file system")
def test_a_full_disk_of_the_database_loses_nothing(own: Build):
    with SmallDiskPostgreSQL(200) as server, own(server) as system:
        green(system, "postgresql_full")
