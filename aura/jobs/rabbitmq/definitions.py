"""RabbitMQ's definitions file: the topology that Aura declares, with roles, permissions and topic permissions.

No role has a password here: `rabbitmqctl change_password ROLE` sets it; without one nobody can log in.

aura-worker      worker and relay: declares, reads and writes everything of Aura
aura-publisher   other programs: creates tickets, nothing else
aura-listener    other services: queues of their own, named `events.`, bound to events; cannot bind the key of tickets
aura-reanalyzer  optional: asks for another classification of a ticket
aura-messenger   optional: sends messages in the name of the service desk
aura-monitor     sees the management pages and metrics, no message

Topic permissions restrict routing keys. RabbitMQ checks the keys in the headers CC and BCC since version 4.1 (and 4.0.x, see
rabbitmq-server pull request 12553); before, a listener compares the routing key of a delivery, which is always checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aura.jobs.rabbitmq.topology import Topology, arguments_of, dead_letter_arguments, dead_letter_queue

VHOST = "/"
#: Most bytes in one queue; a message beyond them is refused, so that its publisher tries again.
MOST_BYTES = 1 << 30

_NOTHING = "^$"
_EVERYTHING = "^.*$"


def definitions(queues: Sequence[str], topology: Topology, *, quorum: bool) -> dict[str, Any]:
    """Return the definitions of a virtual host with these queues."""
    exchanges = "|".join(topology.exchanges)
    dead = [dead_letter_queue(queue) for queue in queues]
    ours = _any_of(sorted([*queues, *dead]))
    everything = f"^({exchanges}|{ours})$"
    return {
        "vhosts": [{"name": VHOST}],
        "users": [
            {"name": name, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256"}
            | {"tags": ["monitoring"] if name == "aura-monitor" else []}
            for name in _roles(topology)
        ],
        "permissions": [
            # amq.default is the default exchange, over which dead letters and hints go
            _may("aura-worker", everything, f"^({exchanges}|{ours}|amq[.]default)$", everything),
            _may("aura-listener", "^events[.].*$", "^events[.].*$", f"^({topology.events}|events[.].*)$"),
            *[_may(role, _NOTHING, f"^{exchange}$", _NOTHING) for role, exchange in topology.publishers.items()],
            _may("aura-monitor", _NOTHING, _NOTHING, _NOTHING),
        ],
        "topic_permissions": _topic_permissions(queues, topology),
        "exchanges": [
            {"name": name, "vhost": VHOST, "type": "topic", "durable": True, "auto_delete": False, "internal": False}
            | {"arguments": {}}
            for name in topology.exchanges
        ],
        "queues": [
            *[_queue(name, arguments_of(name, quorum=quorum)) for name in queues],
            *[_queue(name, dead_letter_arguments(quorum=quorum)) for name in dead],
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


def _topic_permissions(queues: Sequence[str], topology: Topology) -> list[dict[str, str]]:
    """Return the routing keys that each role may use, for every exchange: a missing entry would allow all keys."""
    keys: dict[str, list[str]] = {exchange: [] for exchange in topology.exchanges}
    for queue in queues:
        route = topology.route(queue)
        if route.exchange:
            keys[route.exchange].append(route.routing_key)
    own = {exchange: f"^({_any_of(sorted(names))})$" if names else _NOTHING for exchange, names in keys.items()}
    tickets = _any_of(sorted(keys.get(str(topology.events), [])))
    # an event begins with two plain words, so that no wildcard reaches the key of tickets
    events = f"^(?!({tickets})([.]|$))[a-z_]+[.][a-z_]+([.][A-Za-z0-9_*#-]+)*$"
    rows: list[dict[str, str]] = []
    for exchange in topology.exchanges:
        rows.append(_may_topic("aura-worker", exchange, _EVERYTHING, _EVERYTHING))
        for role in _roles(topology)[1:]:
            write = own[exchange] if topology.publishers.get(role) == exchange else _NOTHING
            read = events if role == "aura-listener" and exchange == topology.events else _NOTHING
            rows.append(_may_topic(role, exchange, write, read))
    return rows


def _roles(topology: Topology) -> list[str]:
    return ["aura-worker", "aura-listener", *topology.publishers, "aura-monitor"]


def _may_topic(user: str, exchange: str, write: str, read: str) -> dict[str, str]:
    return {"user": user, "vhost": VHOST, "exchange": exchange, "write": write, "read": read}


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
