"""deploy/rabbitmq on a real broker: it takes the file, and what the code declares then fits, as the role aura-worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pika
import pytest

from actors import TOPOLOGY
from aura.jobs.rabbitmq import topology
from aura.jobs.rabbitmq.connection import parameters
from aura.jobs.rabbitmq.definitions import definitions
from tests.conftest import ROOT
from tests.services import RabbitMQ


@pytest.mark.parametrize("name", ["definitions.json", "definitions-quorum.json"])
def test_the_declared_topology_equals_the_imported_definitions(
    rabbitmq: RabbitMQ, rabbitmq_url: str, configure: Callable[..., Any], name: str
) -> None:
    # Given the file, imported into a virtual host of its own
    vhost = rabbitmq_url.rpartition("/")[2]
    text = (ROOT / "deploy/rabbitmq" / name).read_text()
    wanted = json.loads(text)
    mine = text.replace('"vhost": "/"', f'"vhost": "{vhost}"').replace('{"name": "/"}', f'{{"name": "{vhost}"}}')
    file = rabbitmq.directory / name
    file.write_text(json.dumps(json.loads(mine) | {"vhosts": [{"name": vhost}]}))
    rabbitmq.evaluate(f'ok = rabbit_definitions:import_raw(element(2, file:read_file("{file}")))')
    rabbitmq.evaluate('rabbit_auth_backend_internal:change_password(<<"aura-worker">>, <<"w">>, <<"tests">>)')
    settings = configure(
        RABBITMQ_URL=rabbitmq_url.replace("guest:guest", "aura-worker:w"),
        AURA_QUORUM_QUEUES=str("quorum" in name),
    )

    # When the worker's role declares everything: a difference, or a permission that lacks, closes the channel
    with pika.BlockingConnection(parameters(settings)[0]) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for queue in (queue["name"] for queue in wanted["queues"] if not queue["name"].endswith(".XQ")):
            topology.declare(channel, queue, TOPOLOGY, quorum="quorum" in name)
            route = TOPOLOGY.hint_route(queue)
            channel.basic_publish(route.exchange, route.routing_key, b"x", mandatory=True)
        topology.declare_exchanges(channel, TOPOLOGY)

        # Then nothing else may be touched by it
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            channel.queue_declare("another")
    assert set(rabbitmq.queues(rabbitmq_url)) == {queue["name"] for queue in wanted["queues"]}


def test_the_file_names_no_guest_and_holds_no_password() -> None:
    found = definitions(["ai.classify"], TOPOLOGY, quorum=True)
    assert "guest" not in {user["name"] for user in found["users"]}
    assert {user["password_hash"] for user in found["users"]} == {""}
