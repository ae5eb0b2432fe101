"""RabbitMQ's definitions file: what `aura.jobs.rabbitmq.topology` declares, and who may do what with it.

No role has a password here: `rabbitmqctl change_password ROLE` sets it, and until then nobody can log in with it.

aura-worker      worker and relay: declares, reads and writes everything of Aura
aura-publisher   other programs: publishes to the three exchanges, reads nothing
aura-listener    other services: queues of their own, named `events.`, bound to `tickets`
aura-monitor     sees the management pages and metrics, no message
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aura.jobs.rabbitmq.topology import EXCHANGES, arguments_of, dead_letter_arguments, dead_letter_queue, route

VHOST = "/"
#: Bytes that wait in one queue; what is published beyond them is refused, so that the relay or the publisher tries later.
MOST_BYTES = 1 << 30

_EXCHANGES = "|".join(EXCHANGES)
_NOTHING = "^$"


def definitions(queues: Sequence[str], *, quorum: bool) -> dict[str, Any]:
    """Return the definitions of a virtual host with these queues."""
    dead = [dead_letter_queue(queue) for queue in queues]
    ours = _any_of(sorted([*queues, *dead]))
    everything = f"^({_EXCHANGES}|{ours})$"
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
            # amq.default is how the broker calls the exchange without a name, by which dead letters and hints go
            _may("aura-worker", everything, f"^({_EXCHANGES}|{ours}|amq[.]default)$", everything),
            _may("aura-publisher", _NOTHING, f"^({_EXCHANGES})$", _NOTHING),
            _may("aura-listener", "^events[.].*$", "^events[.].*$", "^(tickets|events[.].*)$"),
            _may("aura-monitor", _NOTHING, _NOTHING, _NOTHING),
        ],
        "exchanges": [
            {"name": name, "vhost": VHOST, "type": "topic", "durable": True, "auto_delete": False, "internal": False}
            | {"arguments": {}}
            for name in EXCHANGES
        ],
        "queues": [
            *[_queue(name, arguments_of(name, quorum=quorum)) for name in queues],
            *[_queue(name, dead_letter_arguments()) for name in dead],
        ],
        "bindings": [
            {"source": way.exchange, "vhost": VHOST, "destination": queue, "destination_type": "queue"}
            | {"routing_key": way.routing_key, "arguments": {}}
            for queue in queues
            if (way := route(queue)).exchange
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
    """Return the policy that bounds each queue; jobs count their crashes themselves, so no delivery limit blames others."""
    limits: dict[str, Any] = {"max-length-bytes": MOST_BYTES, "overflow": "reject-publish"}
    return {
        "name": "aura-bounded",
        "vhost": VHOST,
        "pattern": f"^({_any_of(queues)})$",
        "apply-to": "queues",
        "priority": 0,
        "definition": limits | ({"delivery-limit": 1_000_000} if quorum else {}),
    }
