"""A RabbitMQ cluster of real nodes on this machine, whose links to each other can be interrupted.

    with RabbitMQCluster() as cluster:
        url = cluster.create_vhost()           # names every node
        cluster.nodes[0].kill()                # SIGKILL
        cluster.isolate(cluster.nodes[2])      # its packets to the other nodes are dropped, without an error
        cluster.heal()

Erlang nodes find each other by epmd, the port mapper. Each node has an epmd of its own here, in which the other nodes are
registered with the ports of proxies; so everything that one node sends to another passes a proxy, without root rights.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import uuid
from typing import Self
from urllib.parse import urlsplit

from tests.chaos.proxy import Proxy
from tests.services import RabbitMQ, start_all, wait_until

#: Seconds until a node detects that another one is silent, as in deploy/rabbitmq/advanced.config; the default of
#: Erlang is 60, and until then RabbitMQ 3.10 neither takes nor delivers messages of queues whose leader is silent.
NET_TICK_SECONDS = 6
COOKIE = "AURATESTSCLUSTER"


class Node(RabbitMQ):
    """One node of a cluster."""

    def __init__(self, net_tick: int) -> None:
        super().__init__()
        self.peers: list[Node] = []
        #: The proxies to the other nodes, by the port of each.
        self.links: dict[int, Proxy] = {}
        self._net_tick = net_tick
        self._registrations: list[socket.socket] = []

    @property
    def node_name(self) -> str:
        return f"aura-{self.port}@localhost"

    def prepare(self) -> None:
        super().prepare()
        cookie = self.directory / ".erlang.cookie"
        cookie.write_text(COOKIE)
        cookie.chmod(0o400)
        with (self.directory / "rabbitmq.conf").open("a") as conf:
            conf.write("cluster_partition_handling = pause_minority\n")
            conf.write("cluster_formation.peer_discovery_backend = classic_config\n")
            for number, node in enumerate([self, *self.peers], 1):
                conf.write(f"cluster_formation.classic_config.nodes.{number} = {node.node_name}\n")

    def environment(self) -> dict[str, str]:
        # three nodes on one machine must not wait busily for work
        arguments = f"-kernel net_ticktime {self._net_tick} +sbwt none +sbwtdcpu none +sbwtdio none"
        return super().environment() | {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments}

    def after_epmd(self) -> None:
        self._registrations = [self._register(peer) for peer in self.peers]

    def _register(self, peer: Node) -> socket.socket:
        """Register another node in this node's epmd with the port of the proxy; it stays while the socket is open."""
        name = peer.node_name.partition("@")[0].encode()
        request = struct.pack(">BHBBHHH", 120, self.links[peer.port].port, 77, 0, 6, 5, len(name)) + name + b"\x00\x00"
        connection = socket.create_connection(("127.0.0.1", self.epmd_port), timeout=10)
        connection.sendall(struct.pack(">H", len(request)) + request)
        answer = connection.recv(8)
        assert answer[1:2] == b"\x00", f"epmd refuses {name!r}: {answer!r}"
        return connection

    def _end(self, how: object) -> None:
        for registration in self._registrations:
            registration.close()
        self._registrations.clear()
        super()._end(how)  # type: ignore[arg-type]

    def members(self) -> int:
        """Return the number of cluster nodes on which this node sees RabbitMQ running; 0 while it pauses itself."""
        return int(self.evaluate("case rabbit:is_running() of true -> length(rabbit_nodes:all_running()); _ -> 0 end"))

    def clients(self) -> int:
        """Return the number of connections to this node."""
        return int(self.evaluate("length(rabbit_networking:local_connections())"))


class RabbitMQCluster:
    """Three nodes; a vhost's URL names them all."""

    def __init__(self, size: int = 3, net_tick: int = NET_TICK_SECONDS) -> None:
        self.nodes = [Node(net_tick) for _ in range(size)]
        for node in self.nodes:
            node.peers = [peer for peer in self.nodes if peer is not node]
        self._isolated: set[Proxy] = set()

    def start(self) -> Self:
        """Start every node that does not run, and wait until they are one cluster."""
        for node in self.nodes:
            for peer in node.peers:
                node.links.setdefault(peer.port, Proxy(peer.distribution_port))
        start_all(*[node for node in self.nodes if not node.running])
        self.wait_until_whole()
        return self

    def wait_until_whole(self, timeout: float = 60) -> None:
        """Wait until each node sees all the others."""
        wait_until(
            lambda: all(node.answers() and node.members() == len(self.nodes) for node in self.nodes),
            timeout,
            "the nodes are one cluster",
            poll=0.2,
        )

    @property
    def in_use(self) -> Node:
        """The running node with the most connections."""
        return max(self.running, key=Node.clients)

    @property
    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.running]

    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression inside the first node that runs."""
        return self.running[0].evaluate(expression)

    def vhost_url(self, name: str) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"amqp://guest:guest@{hosts}/{name}"

    def create_vhost(self) -> str:
        """Create an empty virtual host and return its URL, which names every node."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        every = '<<".*">>'
        self.evaluate(f'rabbit_vhost:add(<<"{name}">>, <<"tests">>)')
        self.evaluate(
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, {every}, {every}, {every}, <<"tests">>)'
        )
        return self.vhost_url(name)

    def delete_vhost(self, url: str) -> None:
        self.evaluate(f'rabbit_vhost:delete(<<"{urlsplit(url).path[1:]}">>, <<"tests">>)')

    def isolate(self, node: Node) -> None:
        """Drop everything between one node and the others, without an error."""
        links = self._links_of(node)
        self._isolated |= set(links)
        for link in links:
            link.black_hole()

    def heal(self) -> None:
        """Reset the connections between nodes that were interrupted; new ones work.

        The others stay: a majority that lost its own connection would pause as well.
        """
        isolated, self._isolated = self._isolated, set()
        for link in isolated:
            link.cut()
            link.heal()

    def _links_of(self, node: Node) -> list[Proxy]:
        return [*node.links.values(), *(peer.links[node.port] for peer in node.peers)]

    def close(self) -> None:
        """Stop every node and remove its data."""
        for node in self.nodes:
            node.close()
            for link in node.links.values():
                link.close()
            node.links.clear()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.close()
