"""Who takes part, with the worker command and the settings of each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

DRAMATIQ = (sys.executable, "-m", "dramatiq", "--processes", "2", "--threads", "8", "--skip-logging")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
CELERY = (sys.executable, "-m", "celery", "-A", "bench.peers.celery", "worker", "--loglevel", "ERROR", *QUIET)
CELERY_SETTINGS = "acks_late, confirm_publish, no results; without gossip, mingle and heartbeat"
TASKIQ = (sys.executable, "-m", "taskiq")
PROCRASTINATE = (sys.executable, "-m", "procrastinate", "--app", "bench.peers.procrastinate.app")

#: Every mail goes out by itself, as with the peers.
UNFOLDED = {"AURA_DIGEST_ABOVE": "0"}


@dataclass(frozen=True, slots=True)
class Contender:
    """One program that takes part, at two processes of eight threads or what suits it best."""

    name: str
    title: str
    module: str
    commands: tuple[tuple[str, ...], ...]
    #: What was set and why, for the report.
    settings: str
    packages: tuple[str, ...] = ()
    #: The queue that new tickets come in by, and how many consumers it has when all workers are ready.
    queue: str = "intake"
    consumers: int = 2
    #: Whether sending is part of the transaction that stores the ticket.
    transactional: bool = False
    #: How many times as many tickets it gets, so that the rounds of all last about as long.
    scale: int = 1
    #: Commands that prepare the database, after the migration.
    setup: tuple[tuple[str, ...], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


_ALL = (
    Contender(
        name="aura",
        title="Aura",
        module="bench.peers.aura",
        commands=((*DRAMATIQ, "actors"),),
        settings="2 processes x 8 threads and the relay, as in the Procfile; no events for other services (no peer has them)",
        packages=("dramatiq", "pika", "sqlalchemy", "psycopg2-binary"),
        queue="tickets.intake",
        transactional=True,
        scale=10,
        env={"AURA_EVENTS": "false", **UNFOLDED},
    ),
    Contender(
        name="aura-events",
        title="Aura, with events",
        module="bench.peers.aura",
        commands=((*DRAMATIQ, "actors"),),
        settings="the default: a CloudEvent of each step leaves for other services too",
        queue="tickets.intake",
        transactional=True,
        scale=10,
        env={"AURA_EVENTS": "true", **UNFOLDED},
    ),
    Contender(
        name="plain",
        title="Dramatiq",
        module="bench.peers.plain",
        commands=((*DRAMATIQ, "bench.peers.plain"),),
        queue="default",
        settings="2 processes x 8 threads, confirm_delivery=True, sent after the commit; one queue (a queue a step was slower)",
        packages=("dramatiq", "pika"),
    ),
    Contender(
        name="piped",
        title="Dramatiq, pipelines",
        module="bench.peers.piped",
        commands=((*DRAMATIQ, "bench.peers.piped"),),
        queue="default",
        settings="the same with dramatiq.pipeline",
        packages=("dramatiq", "pika"),
    ),
    Contender(
        name="celery-prefork",
        title="Celery, prefork",
        module="bench.peers.celery",
        commands=((*CELERY, "--pool", "prefork", "--concurrency", "2"),),
        settings=f"prefork 2 (4 and 8 were slower); {CELERY_SETTINGS}",
        packages=("celery", "kombu", "amqp"),
        queue="celery",
        consumers=1,
    ),
    Contender(
        name="celery-threads",
        title="Celery, threads",
        module="bench.peers.celery",
        commands=tuple((*CELERY, "--pool", "threads", "--concurrency", "8", "-n", f"{n}@%h") for n in "ab"),
        settings=f"2 workers with 8 threads each (4 were slower, a higher prefetch too); {CELERY_SETTINGS}",
        packages=("celery", "kombu", "amqp"),
        queue="celery",
    ),
    Contender(
        name="taskiq",
        title="TaskIQ, aio-pika",
        module="bench.peers.taskiq",
        commands=((*TASKIQ, "worker", "--workers", "2", "--log-level", "ERROR", "bench.peers.taskiq:broker"),),
        settings="2 workers, qos 64 (10 and 16 cost a little more), acknowledged after the task",
        packages=("taskiq", "taskiq-aio-pika", "aio-pika"),
        queue="taskiq",
    ),
    Contender(
        name="procrastinate",
        title="procrastinate",
        module="bench.peers.procrastinate",
        commands=((*PROCRASTINATE, "worker", "--concurrency", "8"),) * 2,
        setup=((*PROCRASTINATE, "schema", "--apply"),),
        settings="2 workers of concurrency 8 (4 and 16 made no difference), woken by LISTEN/NOTIFY; finished jobs stay",
        packages=("procrastinate", "psycopg"),
        queue="",
    ),
    Contender(
        name="ceiling",
        title="hand-written ceiling",
        module="bench.peers.ceiling",
        commands=((sys.executable, "-m", "bench.peers.ceiling"),) * 2,
        settings="2 processes, a thread with connections of its own for each step, a message for 100 tickets, tx per batch",
        packages=("pika", "psycopg2-binary"),
        scale=10,
    ),
)

CONTENDERS: dict[str, Contender] = {contender.name: contender for contender in _ALL}
