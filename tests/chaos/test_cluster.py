"""Aura on a RabbitMQ cluster of three nodes: nodes die, restart and are cut off, and nothing is lost.

All tests share one cluster, whose start takes half a minute. CHAOS_SEED chooses another schedule.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.driver import Driver
from tests.chaos.run import Run
from tests.chaos.schedule import parse, plan
from tests.chaos.system import System
from tests.rabbitmq_cluster import RabbitMQCluster
from tests.services import PostgreSQL, Redis, wait_until

SEED = int(os.environ.get("CHAOS_SEED", "1"))
#: The faults take longer than they are apart, and tickets must arrive all the time: else a pause could not be seen.
TICKETS, ARRIVING = 280, 140.0
SECONDS = 20.0

pytestmark = pytest.mark.acceptance


@pytest.fixture
def cluster() -> Iterator[RabbitMQCluster]:
    with RabbitMQCluster() as cluster:
        yield cluster


@pytest.fixture
def system(
    tmp_path: Path, cluster: RabbitMQCluster, postgresql: PostgreSQL, redis: Redis, migrated: str
) -> Iterator[System]:
    with System(tmp_path, cluster, postgresql.start(), redis.start(), workers=2, migrated=migrated) as system:
        yield system.boot()


def doctor(system: System) -> dict[str, dict[str, object]]:
    """Return the checks of `aura doctor` by name."""
    ran = subprocess.run(
        ["aura", "doctor", "--format", "json"], env=system.env(), capture_output=True, text=True, timeout=120
    )
    return {row["name"]: row for row in json.loads(ran.stdout)}


def test_a_cluster_loses_nothing_and_the_doctor_names_a_dead_node(system: System) -> None:
    # Given a node that is dead, doctor names it while the others go on
    assert doctor(system)["rabbitmq"]["ok"], doctor(system)
    node = system.cluster.in_use
    node.kill()
    found = doctor(system)["rabbitmq"]
    assert not found["ok"] and f"127.0.0.1:{node.port}" in str(found["detail"]), found
    node.start()
    system.cluster.wait_until_whole()
    wait_until(lambda: doctor(system)["rabbitmq"]["ok"], 30, "the doctor finds the cluster whole again", poll=1)

    # When every fault of a cluster happens while tickets arrive
    planned = plan(SEED, SECONDS, parse("cluster,relay_suspended"))
    verdict = Run(system, Driver(system.port, TICKETS, seconds=ARRIVING), planned).go(rest=120)

    # Then nothing is lost and nothing happens twice
    report = "\n".join([f"CHAOS_SEED={SEED}", *map(str, planned), str(verdict)])
    print(report)
    assert not verdict.red, report
    assert verdict.counts["faults"] == len(planned), report
