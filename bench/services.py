"""The private servers of a benchmark, and the workers of one contender on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import psycopg2

from bench.contenders import Contender
from tests.services import PostgreSQL, RabbitMQ, Service, start_all

ROOT = Path(__file__).parent.parent


def query(url: str, statement: str) -> tuple[Any, ...]:
    """Return the first row of a query, on a connection of its own."""
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return row
    finally:
        connection.close()


class DurablePostgreSQL(PostgreSQL):
    """PostgreSQL as it is configured out of the box: a commit waits for the disk."""

    def spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return super().spawn([*command, "-c", "fsync=on", "-c", "full_page_writes=on"], **options)


class Servers:
    """RabbitMQ and PostgreSQL, with a fresh virtual host and a fresh, migrated database for whoever asks."""

    def __init__(self, postgresql: PostgreSQL | None = None) -> None:
        self.rabbitmq, self.postgresql = RabbitMQ(), postgresql or DurablePostgreSQL()

    def __enter__(self) -> Servers:
        start_all(self.rabbitmq, self.postgresql)
        try:
            self.template = self.postgresql.create_database()
            env = {
                **os.environ,
                "AURA_ENV": "development",
                "DATABASE_URL": self.template,
                "RABBITMQ_URL": self.rabbitmq.url,
            }
            subprocess.run(
                [sys.executable, "-m", "aura", "migrate"], env=env, check=True, cwd=ROOT, capture_output=True
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.rabbitmq.close()
        self.postgresql.close()

    def fresh_database(self) -> str:
        """Return the URL of a copy of the migrated, empty database."""
        return self.postgresql.create_database(urlsplit(self.template).path[1:])

    def postgresql_version(self) -> str:
        """Return the version of the server."""
        return str(query(self.postgresql.url, "SHOW server_version")[0]).split()[0]

    def environment(self, database: str, vhost: str) -> dict[str, str]:
        """Return the variables by which a program finds its servers."""
        return {
            "AURA_ENV": "development",
            "DATABASE_URL": database,
            "RABBITMQ_URL": vhost,
            "LOG_LEVEL": "ERROR",
            "PYTHONPATH": str(ROOT),
        }


class Workers(Service):
    """The workers of one contender, watched and ended like a server."""

    package = ""

    def __init__(self, contender: Contender, environment: dict[str, str]) -> None:
        super().__init__()
        self.contender = contender
        self.environment = {**environment, **contender.env}
        self.roots: list[int] = []

    def launch(self) -> subprocess.Popen[bytes]:
        started = [self.spawn(list(command), environment=self.environment) for command in self.contender.commands]
        self.roots = [process.pid for process in started]
        return started[0]

    def answers(self) -> bool:
        """Say whether every process takes tickets."""
        if not self.contender.queue:
            registered = "SELECT count(*) FROM procrastinate_workers"
            return query(self.environment["DATABASE_URL"], registered) == (self.contender.consumers,)
        with pika.BlockingConnection(pika.URLParameters(self.environment["RABBITMQ_URL"])) as connection:
            try:
                queue = connection.channel().queue_declare(self.contender.queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return False
            return int(queue.method.consumer_count) == self.contender.consumers
