"""RabbitMQ, PostgreSQL and Redis die, restart, forget, fill up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import psycopg2

from tests.chaos.faults.registry import fault, for_a_moment
from tests.chaos.system import VHOST, System
from tests.services import wait_until

# RabbitMQ


@fault("rabbitmq")
def rabbitmq_killed(system: System, chance: Random) -> None:
    """SIGKILL for RabbitMQ, which comes back with what it had on disk."""
    system.single.kill()
    for_a_moment(system, chance)
    system.single.start()


@fault("rabbitmq")
def rabbitmq_restarted(system: System, chance: Random) -> None:
    """RabbitMQ is stopped in good order and started again."""
    system.single.stop()
    for_a_moment(system, chance)
    system.single.start()


@fault("rabbitmq")
def rabbitmq_replaced(system: System, chance: Random) -> None:
    """RabbitMQ is killed, its data removed, and an empty one comes up in its place: every hint is lost."""
    system.single.kill()
    shutil.rmtree(system.single.directory / "data")
    for_a_moment(system, chance)
    system.single.start()
    system.reset_vhost()


@fault("rabbitmq")
def queues_purged(system: System, _chance: Random) -> None:
    """Every queue is emptied; every hint that waits is lost."""
    system.single.evaluate(f'[rabbit_amqqueue:purge(Q) || Q <- rabbit_amqqueue:list(<<"{VHOST}">>)]')


@fault("rabbitmq")
def rabbitmq_wiped(system: System, _chance: Random) -> None:
    """The virtual host is deleted and created again while the programs run."""
    system.reset_vhost()


@fault("rabbitmq")
def connections_closed(system: System, _chance: Random) -> None:
    """The broker closes every connection, as an operator does."""
    system.single.close_connections()


@fault("rabbitmq")
def memory_alarm(system: System, chance: Random) -> None:
    """RabbitMQ finds that it has no memory left and blocks whoever publishes."""
    with _alarm(
        system,
        "memory",
        "vm_memory_monitor:set_vm_memory_high_watermark({absolute, 1})",
        "vm_memory_monitor:set_vm_memory_high_watermark(0.4)",
    ):
        for_a_moment(system, chance)


@fault("rabbitmq")
def disk_alarm(system: System, chance: Random) -> None:
    """RabbitMQ finds that its disk is full and blocks whoever publishes."""
    with _alarm(
        system,
        "disk",
        "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)",
        "rabbit_disk_monitor:set_disk_free_limit(1000000)",
    ):
        for_a_moment(system, chance)


@contextmanager
def _alarm(system: System, kind: str, lower: str, restore: str) -> Iterator[None]:
    def raised() -> bool:
        return kind in system.single.evaluate("rabbit_alarm:get_alarms()")

    system.single.evaluate(lower)
    try:
        wait_until(raised, 90, f"no {kind} alarm")
        yield
    finally:
        system.single.evaluate(restore)
        wait_until(lambda: not raised(), 90, f"the {kind} alarm stays")


# PostgreSQL and Redis


@fault("postgresql")
def postgresql_killed(system: System, chance: Random) -> None:
    """SIGKILL for PostgreSQL, which recovers from its log."""
    system.postgresql.kill()
    for_a_moment(system, chance)
    system.postgresql.start()


@fault("postgresql")
def postgresql_restarted(system: System, chance: Random) -> None:
    """PostgreSQL is stopped, whoever is connected, and started again."""
    system.postgresql.stop()
    for_a_moment(system, chance)
    system.postgresql.start()


@fault("postgresql")
def sessions_terminated(system: System, _chance: Random) -> None:
    """Every session is ended by the server, in the middle of whatever it does."""
    connection = psycopg2.connect(system.postgresql.url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aura'")
    finally:
        connection.close()


@fault("postgresql")
def pool_full(system: System, chance: Random) -> None:
    """Strangers take every connection that PostgreSQL has, and ours are cut."""
    strangers = []
    try:
        with suppress(psycopg2.OperationalError):
            while True:
                strangers.append(psycopg2.connect(system.postgresql.url, application_name="stranger"))
        system.to_postgresql.cut()
        with suppress(psycopg2.OperationalError):
            while True:
                strangers.append(psycopg2.connect(system.postgresql.url, application_name="stranger"))
        for_a_moment(system, chance)
    finally:
        for stranger in strangers:
            stranger.close()


@fault("redis")
def redis_killed(system: System, chance: Random) -> None:
    """SIGKILL for Redis."""
    system.redis.kill()
    for_a_moment(system, chance)
    system.redis.start()


@fault("redis")
def redis_flushed(system: System, _chance: Random) -> None:
    """Redis loses every key while it goes on."""
    system.redis.flush()


@fault("redis")
def redis_replaced(system: System, chance: Random) -> None:
    """Redis fails over to an empty server."""
    system.redis.kill()
    for_a_moment(system, chance)
    system.redis.start()
    system.redis.flush()
