"""Aura on a RabbitMQ cluster of three nodes: nodes die, restart and are cut off, and nothing is lost.

All faults hit one cluster, one after the other, and tickets arrive until the last one is over. CHAOS_SEED chooses another
order; `make chaos` has longer faults and more tickets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from aura.jobs.rabbitmq import topology
from aura.jobs.rabbitmq.inspection import NODE, Problem, inspect
from aura.settings import given
from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS
from tests.chaos.run import Run
from tests.chaos.schedule import parse, plan
from tests.chaos.system import System
from tests.rabbitmq_cluster import RabbitMQCluster
from tests.services import PostgreSQL, Redis, wait_until

SEED = int(os.environ.get("CHAOS_SEED", "1"))
#: Tickets a second, and more tickets than can arrive during the faults.
RATE, TICKETS = 2.0, 2000
#: Seconds within which all faults are due: those of a cluster wait for each other, so that they follow without a gap.
SECONDS = 2.0

pytestmark = pytest.mark.acceptance


@pytest.fixture
def system(tmp_path: Path, postgresql: PostgreSQL, redis: Redis, migrated: str) -> Iterator[System]:
    with (
        RabbitMQCluster() as cluster,
        System(tmp_path, cluster, postgresql.start(), redis.start(), workers=2, migrated=migrated) as system,
    ):
        yield system.boot()


class ClassicQueues:
    """A virtual host with a classic queue on each node, so that some queue is on the node that dies."""

    def __init__(self, cluster: RabbitMQCluster) -> None:
        url = cluster.create_vhost()
        self.settings = given(env="development", RABBITMQ_URL=url, DATABASE_URL="postgresql://a:b@127.0.0.1:1/a")
        self.queues = {f"queue-{number}": node for number, node in enumerate(cluster.nodes)}
        #: What the inspection found during each fault.
        self.found: dict[str, list[Problem]] = {}
        for queue, node in self.queues.items():
            params = pika.URLParameters(f"amqp://guest:guest@127.0.0.1:{node.port}/{url.rpartition('/')[2]}")
            with pika.BlockingConnection(params) as connection:
                topology.declare(connection.channel(), queue, topology.Topology(), quorum=False)

    def inspect(self, fault: str) -> None:
        self.found[fault] = inspect(self.settings, self.queues, topology.Topology())


def test_a_cluster_loses_nothing_and_the_doctor_names_every_fault(system: System) -> None:
    # Given a whole cluster
    assert system.rabbitmq_problems() == []

    # When every fault of a cluster happens while tickets arrive
    planned = plan(SEED, SECONDS, parse("cluster,relay_suspended"))
    run = Run(system, Driver(system.port, TICKETS, seconds=TICKETS / RATE), planned)
    classic = ClassicQueues(system.cluster)
    answers: dict[str, dict[str, object]] = {}
    run.on_fault += [classic.inspect, lambda fault: fault == "node_killed" and answers.update(system.doctor())]
    verdict = run.go(rest=120, enough=True)

    # Then nothing is lost and nothing happens twice; the doctor fails during each fault, and is content after the last one
    report = "\n".join([f"CHAOS_SEED={SEED}", *map(str, planned), str(verdict)])
    print(report)
    assert not verdict.red, report
    assert verdict.counts["faults"] == len(planned), report
    assert {each.name for each in run.progress.spans} == {name for name, fault in FAULTS.items() if fault.cluster}
    assert verdict.counts["accepted"] > 0, report
    assert not answers["rabbitmq"]["ok"], answers
    assert any("home node" in each.reason and each.fix == NODE for each in classic.found["node_killed"]), classic.found
    wait_until(lambda: not system.rabbitmq_problems(), 60, "the doctor finds the cluster whole again", poll=0.5)
