"""The private services do what the other tests rely on: isolation, and a crash that keeps the data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pika
import psycopg2
import pytest
from pika.exceptions import AMQPConnectionError, ConnectionClosedByBroker, ProbableAccessDeniedError
from redis import Redis as RedisClient
from sqlalchemy import create_engine, text

from tests import install, services
from tests.conftest import ROOT
from tests.services import PostgreSQL, RabbitMQ, Redis, ServiceMissing, wait_until


def connect(url: str) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(url))


def publish(url: str, queue: str) -> None:
    connection = connect(url)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True)
    channel.basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2), mandatory=True)
    connection.close()


def test_rabbitmq_keeps_its_messages_through_a_crash(rabbitmq: RabbitMQ, rabbitmq_url: str):
    publish(rabbitmq_url, "tickets")
    # the message is confirmed; the declaration of a queue is on the disk some time after its reply
    rabbitmq.evaluate("mnesia:sync_log()")

    rabbitmq.kill()
    with pytest.raises(AMQPConnectionError):
        connect(rabbitmq_url)
    rabbitmq.start()

    wait_until(
        lambda: rabbitmq.queues(rabbitmq_url) == {"tickets": 1}, 60, lambda: f"queues: {rabbitmq.queues(rabbitmq_url)}"
    )


def test_postgresql_keeps_its_rows_through_a_crash(postgresql: PostgreSQL, postgres_url: str):
    connection = psycopg2.connect(postgres_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS n")

    postgresql.kill()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(postgres_url)
    postgresql.start()

    with psycopg2.connect(postgres_url).cursor() as cursor:
        cursor.execute("SELECT n FROM kept")
        assert cursor.fetchall() == [(1,)]


def test_redis_keeps_its_keys_through_a_crash(redis: Redis, redis_url: str):
    with RedisClient.from_url(redis_url) as client:
        client.set("kept", 1)

    redis.kill()
    redis.start()

    with RedisClient.from_url(redis_url) as client:
        assert client.get("kept") == b"1"


def test_redis_is_empty_for_each_test(redis_url: str):
    with RedisClient.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_stop_and_start_keep_port_and_data(postgresql: PostgreSQL, postgres_url: str):
    port = postgresql.port

    postgresql.stop()
    assert not postgresql.running
    postgresql.start()

    assert postgresql.port == port
    psycopg2.connect(postgres_url).close()


def test_each_test_has_its_own_virtual_host(rabbitmq: RabbitMQ, rabbitmq_url: str):
    another = rabbitmq.create_vhost()
    publish(another, "tickets")

    assert rabbitmq.queues(rabbitmq_url) == {}
    assert rabbitmq.queues(another) == {"tickets": 1}
    rabbitmq.delete_vhost(another)
    with pytest.raises(ProbableAccessDeniedError, match="NOT_ALLOWED"):
        connect(another)


def test_rabbitmq_blocks_publishers_and_lets_them_go(rabbitmq: RabbitMQ, rabbitmq_url: str):
    states: list[str] = []
    connection = connect(rabbitmq_url)
    connection.add_on_connection_blocked_callback(lambda *_: states.append("blocked"))
    connection.add_on_connection_unblocked_callback(lambda *_: states.append("unblocked"))

    rabbitmq.block()
    connection.channel().basic_publish("", "nowhere", b"")
    wait_until(lambda: connection.process_data_events(0.05) or states == ["blocked"], message="blocked")
    rabbitmq.unblock()
    wait_until(lambda: connection.process_data_events(0.05) or states == ["blocked", "unblocked"], message="unblocked")

    connection.close()


def test_rabbitmq_closes_its_connections(rabbitmq: RabbitMQ, rabbitmq_url: str):
    connection = connect(rabbitmq_url)

    rabbitmq.close_connections()

    with pytest.raises(ConnectionClosedByBroker, match="closed by a test"):
        wait_until(lambda: connection.process_data_events(0.05), message="the connection is closed")


def test_a_database_can_be_copied(postgresql: PostgreSQL, postgres_url: str):
    connection = psycopg2.connect(postgres_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE copied (n int)")
    connection.close()

    copy = postgresql.create_database(template=postgres_url.rpartition("/")[2])

    with psycopg2.connect(copy).cursor() as cursor:
        cursor.execute("SELECT * FROM copied")
    postgresql.drop_database(copy)


def test_a_database_url_is_empty_and_ready(database_url: str):
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE fresh (n integer)"))
    engine.dispose()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_the_process_that_started_it(how: signal.Signals, tmp_path: Path):
    # Redis alone, for speed; the guard is the same for all three. SIGINT is ignored by whatever a shell in the background
    # starts, this process and its children too.
    script = (
        "from tests.services import *; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "r = Redis().start(); print(r.pid, r.directory, flush=True); signal.pause()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    pid, directory = process.stdout.readline().split()

    process.send_signal(how)
    process.wait(timeout=60)
    process.stdout.close()

    wait_until(lambda: int(pid) not in services._alive(), timeout=60, message="the server is gone")
    wait_until(lambda: not os.path.exists(directory), timeout=60, message="its folder is gone")


def test_a_missing_server_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RabbitMQ, "program", staticmethod(lambda: None))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(ServiceMissing, match=r"run: sudo sh -c 'apt-get update && apt-get install .* rabbitmq-server'"):
        install.install(services.missing)


def test_a_server_that_cannot_start_says_why():
    redis = Redis()
    redis.launch = lambda: redis.spawn(["redis-server", "--port", "no-port"])  # type: ignore[method-assign]

    with pytest.raises(services.ServiceFailed, match="no-port"):
        redis.start()
    redis.close()


def test_installed_daemons_are_not_started_and_the_policy_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "POLICY", policy)

    with install._daemons_stay_off():
        assert subprocess.run([policy]).returncode == 101

    assert not policy.exists()
