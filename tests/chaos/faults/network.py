"""The network between the programs and the servers breaks, and external services fail."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.chaos.faults.registry import fault, for_a_moment
from tests.chaos.proxy import Proxy
from tests.chaos.system import System


def _network(name: str, proxy: Callable[[System], Proxy]) -> None:
    group = f"{name}_network"

    @fault(group, f"{name}_cut")
    def cut(system: System, _chance: Random) -> None:
        """Every connection is reset."""
        proxy(system).cut()

    @fault(group, f"{name}_black_hole")
    def black_hole(system: System, chance: Random) -> None:
        """The server can be reached and says nothing; then every connection is reset."""
        proxy(system).black_hole()
        for_a_moment(system, chance)
        proxy(system).cut()
        proxy(system).heal()

    @fault(group, f"{name}_half_open")
    def half_open(system: System, chance: Random) -> None:
        """The server hears the programs and they do not hear it; then its data arrives."""
        proxy(system).half_open()
        for_a_moment(system, chance)
        proxy(system).heal()


_network("rabbitmq", lambda system: system.to_rabbitmq)
_network("postgresql", lambda system: system.to_postgresql)
_network("redis", lambda system: system.to_redis)


@fault("rabbitmq_network")
def rabbitmq_abandoned(system: System, _chance: Random) -> None:
    """Every connection to RabbitMQ is dead without an error; only heartbeats detect it."""
    system.to_rabbitmq.abandon()


@fault("mail")
def mail_put_off(system: System, chance: Random) -> None:
    """The mail server puts every mail off."""
    system.post.busy.set()
    for_a_moment(system, chance)
    system.post.busy.clear()


@fault("provider")
def provider_broken(system: System, chance: Random) -> None:
    """The classification service answers every call with an error."""
    system.provider.broken.set()
    for_a_moment(system, chance)
    system.provider.broken.clear()
