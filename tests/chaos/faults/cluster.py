"""Nodes of a RabbitMQ cluster die, lose their majority, restart in turn, are cut off."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.chaos.faults.registry import fault, for_a_moment
from tests.chaos.system import System
from tests.rabbitmq_cluster import Node
from tests.services import start_all, wait_until

#: Seconds for which a node is cut off from the others.
PARTITION = float(os.environ.get("CHAOS_PARTITION", "15"))


@fault("rabbitmq", cluster=True)
def node_killed(system: System, chance: Random) -> None:
    """SIGKILL for the node with the most connections; the others are a majority."""
    node = system.cluster.in_use
    node.kill()
    system.broken("node_killed")
    for_a_moment(system, chance)
    node.start()
    system.cluster.wait_until_whole()


@fault("rabbitmq", cluster=True)
def majority_lost(system: System, chance: Random) -> None:
    """SIGKILL for two nodes; the third one pauses until another one is back."""
    nodes = [system.cluster.in_use]
    nodes += chance.sample(nodes[0].peers, 1)
    for node in nodes:
        node.kill()
    [survivor] = system.cluster.running
    system.broken("majority_lost")
    for_a_moment(system, chance)
    with ThreadPoolExecutor(1) as watch:
        watch.submit(_note_majority, system, survivor)
        start_all(*nodes)
        system.cluster.wait_until_whole()


def _note_majority(system: System, survivor: Node) -> None:
    wait_until(lambda: survivor.members() > 1, 120, "a second node is back")
    system.majority_at = time.time()


@fault("rabbitmq", cluster=True)
def nodes_restarted(system: System, _chance: Random) -> None:
    """Each node is stopped in good order and started again, one after the other, as in a rolling upgrade."""
    for node in system.cluster.nodes:
        node.stop()
        if node is system.cluster.nodes[0]:
            system.broken("nodes_restarted")
        node.start()
        system.cluster.wait_until_whole()


@fault("rabbitmq", cluster=True)
def node_partitioned(system: System, _chance: Random) -> None:
    """The node with the most connections does not reach the others, without an error; the programs reach all three."""
    node = system.cluster.in_use
    system.cluster.isolate(node)
    try:
        system.over.wait(PARTITION)
        system.broken("node_partitioned")
    finally:
        system.cluster.heal()
    system.cluster.wait_until_whole()
