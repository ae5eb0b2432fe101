"""Inspection of RabbitMQ: finds what would keep workers and relay from consuming and publishing; changes and creates nothing.

Each right is tested by a request that RabbitMQ refuses in any case, for another reason when the right is there: RabbitMQ
checks rights first. So no queue is declared and no message is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pika
from pika.exceptions import ChannelClosedByBroker

from aura.jobs.rabbitmq import topology
from aura.jobs.rabbitmq.confirms import ConfirmConnection
from aura.jobs.rabbitmq.connection import AWAY, RPC_SECONDS, bounded, describe, open_one, parameters, place
from aura.jobs.rabbitmq.publisher import PROBE
from aura.jobs.rabbitmq.topology import Topology
from aura.jobs.transport import PublishFailed
from aura.settings import Settings

#: Seconds to wait for the confirm of a message to no queue.
PROBE_SECONDS = 5.0
FORBIDDEN, NOT_FOUND, OTHER_ARGUMENTS = 403, 404, 406

START = "start RabbitMQ, or correct RABBITMQ_URL"
RIGHTS = "give the user the rights of aura-worker in `aura queues definitions`, with `rabbitmqctl set_permissions`"
NODE = "start the node of the queue, or delete the queue: the workers declare it again, on every node with AURA_QUORUM_QUEUES"
ARGUMENTS = (
    "set AURA_QUORUM_QUEUES as the queue was declared; or stop the workers, delete the empty queue, and start them"
)
ALARM = "`rabbitmq-diagnostics alarms` names the alarm: free memory or disk on the broker"


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not work, the reason in RabbitMQ's words, and what to do."""

    what: str
    reason: str
    fix: str


def inspect(settings: Settings, queues: Iterable[str], shape: Topology) -> list[Problem]:
    """Return the problems: of hosts first, then of publishing, then of queues and exchanges. Raises SettingsError."""
    problems: list[Problem] = []
    reached: list[tuple[Any, pika.URLParameters]] = []
    try:
        for params in parameters(settings):
            try:
                reached.append((open_one(params), params))
            except AWAY as error:
                problems.append(Problem(f"host {place(params)}", describe(error), START))
        if reached:
            connection, params = reached[0]
            problems += _publishing(params)
            problems += _objects(connection, queues, shape, quorum=settings.quorum_queues)
    finally:
        for connection, _ in reached:
            if connection.is_open:
                connection.close()
    return problems


def _publishing(params: pika.URLParameters) -> list[Problem]:
    """Publish a message to no queue: an alarm of memory or disk blocks it."""
    try:
        connection = ConfirmConnection(params, {})
    except PublishFailed as error:
        return [Problem(f"host {place(params)}", str(error), START)]
    try:
        connection.publish(PROBE)
        connection.wait_for_confirms(PROBE_SECONDS)
    except PublishFailed as error:
        fix = RIGHTS if str(FORBIDDEN) in str(error) else ALARM
        return [Problem("publishing", str(error), fix)]
    finally:
        connection.close()
    return []


def _objects(connection: Any, queues: Iterable[str], shape: Topology, *, quorum: bool) -> list[Problem]:
    problems: list[Problem] = []
    wanted = topology.everything(queues, shape, quorum=quorum)
    try:
        with bounded(connection, RPC_SECONDS):
            for declaration in wanted:
                if declaration.kind == "queue":
                    problems += _queue(connection, declaration)
                elif declaration.kind == "exchange":
                    problems += _exchange(connection, declaration)
    except AWAY as error:
        problems.append(Problem("a declaration", describe(error), START))
    return problems


def _queue(connection: Any, declaration: topology.Declaration) -> list[Problem]:
    name = declaration.name
    found = _refusal(connection, lambda channel: channel.queue_declare(name, passive=True))
    if found is None:
        found = _refusal(connection, declaration.call)  # it exists, so this compares its arguments
    elif found.reply_code == NOT_FOUND and not _node_is_down(found):
        # a queue that is not there is declared by the first worker, if it may
        never: dict[str, Any] = {"x-message-ttl": -1}
        found = _refusal(connection, lambda channel: channel.queue_declare(name, durable=True, arguments=never))
        found = None if found is not None and found.reply_code == OTHER_ARGUMENTS else found
    if found is None:
        never = {"x-priority": "none"}
        found = _refusal(
            connection, lambda channel: channel.basic_consume(name, lambda *_: None, arguments=never), (FORBIDDEN,)
        )
    return [] if found is None else [_problem(declaration, found)]


def _exchange(connection: Any, declaration: topology.Declaration) -> list[Problem]:
    found = _refusal(connection, lambda channel: channel.exchange_declare(declaration.name, passive=True))
    found = _refusal(connection, declaration.call) if found is None else None
    return [] if found is None else [_problem(declaration, found)]


def _problem(declaration: topology.Declaration, refusal: ChannelClosedByBroker) -> Problem:
    fix = {FORBIDDEN: RIGHTS, NOT_FOUND: NODE, OTHER_ARGUMENTS: ARGUMENTS}.get(refusal.reply_code, START)
    return Problem(f"{declaration.kind} {declaration.name}", str(refusal.reply_text), fix)


def _node_is_down(refusal: ChannelClosedByBroker) -> bool:
    return "down" in refusal.reply_text


def _refusal(connection: Any, call: Callable[[Any], Any], codes: tuple[int, ...] = ()) -> ChannelClosedByBroker | None:
    """Make the call on a channel of its own. Returns the refusal, if it has one of the codes; without codes, any."""
    channel = connection.channel()
    try:
        call(channel)
    except ChannelClosedByBroker as error:
        return error if not codes or error.reply_code in codes else None
    channel.close()
    return None
