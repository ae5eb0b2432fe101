"""RabbitMQ's definitions file: the topology that Aura declares, with roles and their permissions.

No role has a password here: `rabbitmqctl change_password ROLE` sets it; without one nobody can log in.

aura-worker      worker and relay: declares, reads and writes everything of Aura
aura-publisher   other programs: publishes to the exchanges, reads nothing
aura-listener    other services: queues of their own, named `events.`, bound to the exchange of events
aura-monitor     sees the management pages and metrics, no message
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aura.jobs.rabbitmq.topology import Topology, arguments_of, dead_letter_arguments, dead_letter_queue

VHOST = "/"
#: Most bytes in one queue; a message beyond them is refused, so that its publisher tries again.
MOST_BYTES = 1 << 30

_NOTHING = "^$"


def definitions(queues: Sequence[str], topology: Topology, *, quorum: bool) -> dict[str, Any]:
    """Return the definitions of a virtual host with these queues."""
    exchanges = "|".join(topology.exchanges)
    dead = [dead_letter_queue(queue) for queue in queues]
    ours = _any_of(sorted([*queues, *dead]))
    everything = f"^({exchanges}|{ours})$"
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {"name": name, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags}
            for name, tags in (
                ("aura-worker", []),
                ("aura-publisher", []),
                ("aura-listener", []),
                ("aura-monitor", ["monitoring"]),
            )
        ],
        "permissions": [
            # amq.default is the default exchange, over which dead letters and hints go
            _may("aura-worker", everything, f"^({exchanges}|{ours}|amq[.]default)$", everything),
            _may("aura-publisher", _NOTHING, f"^({exchanges})$", _NOTHING),
            _may("aura-listener", "^events[.].*$", "^events[.].*$", f"^({topology.events}|events[.].*)$"),
            _may("aura-monitor", _NOTHING, _NOTHING, _NOTHING),
        ],
        "exchanges": [
            {"name": name, "vhost": VHOST, "type": "topic", "durable": True, "auto_delete": False, "internal": False}
            | {"arguments": {}}
            for name in topology.exchanges
        ],
        "queues": [
            *[_queue(name, arguments_of(name, quorum=quorum)) for name in queues],
            *[_queue(name, dead_letter_arguments()) for name in dead],
        ],
        "bindings": [
            {"source": route.exchange, "vhost": VHOST, "destination": queue, "destination_type": "queue"}
            | {"routing_key": route.routing_key, "arguments": {}}
            for queue in queues
            if (route := topology.route(queue)).exchange
        ],
        "policies": [_bounded(queues, quorum=quorum)],
    }


def _any_of(names: Sequence[str]) -> str:
    """Return the regular expression of these names, without its ends."""
    return "|".join(name.replace(".", "[.]") for name in names)


def _may(user: str, configure: str, write: str, read: str) -> dict[str, str]:
    return {"user": user, "vhost": VHOST, "configure": configure, "write": write, "read": read}


def _queue(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": arguments}


def _bounded(queues: Sequence[str], *, quorum: bool) -> dict[str, Any]:
    """Return the policy that bounds each queue; jobs count their own crashes, so the delivery limit never applies."""
    limits: dict[str, Any] = {"max-length-bytes": MOST_BYTES, "overflow": "reject-publish"}
    return {
        "name": "aura-bounded",
        "vhost": VHOST,
        "pattern": f"^({_any_of(queues)})$",
        "apply-to": "queues",
        "priority": 0,
        "definition": limits | ({"delivery-limit": 1_000_000} if quorum else {}),
    }
