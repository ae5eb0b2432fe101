"""The system under test: the Procfile's own processes under a supervisor, on real servers behind proxies.

    with System(folder, rabbitmq, postgresql, redis, workers=2) as system:
        system.boot()
        rabbitmq.kill()

Nothing in it knows that it is a test, but for what `failpoints` and `mutants` inject from outside.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError

import actors
from aura.jobs.rabbitmq.inspection import Problem, inspect
from aura.notifications.signatures import new_secret
from aura.settings import given
from db.database import make_engine
from tests import faketime
from tests.acceptance.conftest import Installation, Program
from tests.access import grant
from tests.chaos.external_services import Desk, PostOffice, Provider
from tests.chaos.failpoints import Failpoints
from tests.chaos.proxy import Proxy
from tests.chaos.supervisor import Supervisor
from tests.conftest import ROOT, wait_until
from tests.postgresql_servers import PgBouncer, Standby
from tests.rabbitmq_cluster import RabbitMQCluster
from tests.services import PostgreSQL, RabbitMQ, Redis, tree
from tests.slow_provider import SlowProvider

#: The virtual host of every run; the faults that wipe RabbitMQ create it again.
VHOST = "chaos"
#: Seconds without a heartbeat that make a worker dead; the least that the setting allows.
DEAD_AFTER = 6
#: The recipient of unassigned tickets: a user name, so that a ticket is one mail and one in-app notification.
SERVICE_DESK = "service-desk"
ENDPOINT = """
    INSERT INTO endpoints (name, channel, url, secret, old_secret, changed_at)
    VALUES (:channel, :channel, :url, :secret, '', now())
"""
SUBSCRIPTION = """
    INSERT INTO subscriptions (recipient, channel, event, category, priority, department, team, created_at)
    VALUES (:channel, :channel, 'ticket.classified', '', '', '', '', now())
"""


class System(Installation):
    """Aura's processes, the servers they need, and the external services that count what arrives."""

    def __init__(
        self,
        folder: Path,
        rabbitmq: RabbitMQ | RabbitMQCluster,
        postgresql: PostgreSQL,
        redis: Redis,
        *,
        workers: int = 1,
        threads: int = 4,
        openai: bool = False,
        mutant: str = "",
        scheduler: bool = True,
        migrated: str = "",
        hold: str = "",
        rates: str = "off",
        standby: Standby | None = None,
        pooler: str = "",
        slow: SlowProvider | None = None,
        prepare: bool = True,
        **more: str,
    ) -> None:
        self.rabbitmq, self.postgresql, self.redis = rabbitmq, postgresql, redis
        self.standby = standby
        self.pgbouncer = PgBouncer(postgresql, pooler).start() if pooler else None
        self.workers, self.scheduler, self.migrated = workers, scheduler, migrated
        self.post, self.provider, self.desk = PostOffice(), Provider(), Desk()
        # the nodes of a cluster are named without a proxy: what is broken there is between them
        self.to_rabbitmq = Proxy(rabbitmq.port if isinstance(rabbitmq, RabbitMQ) else rabbitmq.nodes[0].port)
        self.to_postgresql = Proxy((self.pgbouncer or postgresql).port)
        self.to_redis = Proxy(redis.port)
        self.failpoints = Failpoints(folder / "failpoints")
        #: The offset of the scheduler's clock, in seconds.
        self.scheduler_clock = folder / "scheduler-clock"
        self.supervisor = Supervisor()
        #: Set when the run is over: whatever waits looks at it.
        self.over = threading.Event()
        #: Called with the name of a fault of a cluster while it lasts.
        self.broken: Callable[[str], None] = lambda _fault: None
        #: When RabbitMQ had a majority of its nodes again, by this machine's clock.
        self.majority_at = 0.0
        self.reset_vhost()
        self._database = postgresql.create_database(migrated or "template1")
        self.database_name = self._database.rpartition("/")[2]
        self._proxies = [Proxy(standby.port)] if standby is not None else []
        variables = {
            "AURA_ENV": "development",
            "RABBITMQ_URL": rabbitmq.vhost_url(VHOST)
            if isinstance(rabbitmq, RabbitMQCluster)
            else _through(rabbitmq.vhost_url(VHOST), self.to_rabbitmq),
            "AURA_QUORUM_QUEUES": str(isinstance(rabbitmq, RabbitMQCluster)),
            "DATABASE_URL": self._url([self.to_postgresql.port, *(each.port for each in self._proxies)]),
            "AURA_DATABASE_PREPARE": str(prepare).lower(),
            "REDIS_URL": _through(redis.url, self.to_redis),
            "SMTP_URL": self.post.url,
            "WORKER_PROCESSES": "1",
            "WORKER_THREADS": str(threads),
            "AURA_WORKER_DEAD_AFTER": str(DEAD_AFTER),
            "AURA_SERVICE_DESK": SERVICE_DESK,
            # the tickets are similar and simultaneous, and each is notified of separately
            "AURA_INCIDENT_TICKETS": "1000000",
            "AURA_DIGEST_ABOVE": "0",
            "AURA_WEBHOOK_HOSTS": self.desk.host,
            "AURA_CHANNEL_RATES": rates,
            "AURA_AT_MOST_ONCE_CHANNELS": hold,
            "PYTHONPATH": os.pathsep.join((str(ROOT / "tests" / "chaos" / "site"), str(ROOT))),
            "CHAOS_FOLDER": str(self.failpoints.folder),
            "CHAOS_MUTANT": mutant,
        } | (self.provider.variables if openai else {})
        if pooler == "session":  # so few connections that PgBouncer's default_pool_size is enough
            variables["AURA_DATABASE_POOL"] = "4"
        if slow is not None:
            variables |= {"OPENAI_API_KEY": "sk-chaos", "OPENAI_BASE_URL": slow.url, "AI_MODEL": "test-model"}
        variables |= more
        super().__init__(folder, variables)
        # the judge does not look through the proxy
        self.engine = make_engine(self._url([each.port for each in (postgresql, standby) if each is not None]), 4)

    def _url(self, ports: Sequence[int]) -> str:
        """Return the URL of the database with a host for each port."""
        return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}/{self.database_name}"

    def boot(self) -> Self:
        """Create the tables, unless a migrated database was copied, and start what the Procfile names."""
        if not self.migrated:
            self.aura("migrate")
        grant(self._database)
        lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if ": " in line)
        names = {"web": "web"} | ({"scheduler": "scheduler"} if self.scheduler else {})
        names |= {f"worker-{n}": "worker" for n in range(1, self.workers + 1)}
        for name, kind in names.items():
            self.supervisor.keep(self.run(name, "sh", "-c", f"exec {lines[kind]}"))
        self.wait_until_ready()
        wait_until(lambda: self.pids("worker") and self.pids("relay"), 120, "no worker and relay live")
        return self

    def subscribe(self, *channels: str) -> None:
        """Subscribe each of these channels, webhook or slack, to every classified ticket."""
        with self.engine.begin() as connection:
            for channel in channels:
                values = {"channel": channel, "url": f"{self.desk.url}/{channel}", "secret": new_secret()}
                connection.execute(text(ENDPOINT), values)
                connection.execute(text(SUBSCRIPTION), values)

    def run(self, name: str, *command: str) -> Program:
        """Start one command under a name."""
        own_clock = name == "scheduler" and faketime.library() is not None
        env = self.env() | (faketime.with_file(self.scheduler_clock) if own_clock else {})
        program = Program(name, list(command), env, self.folder / f"{name}.log")
        self.programs.append(program)
        return program.start()

    def pids(self, kind: str) -> list[int]:
        """Return the processes that work or relay just now, by their own rows; never one that is not ours."""
        ours = {pid for program in self.programs for pid in _alive(program) if _runs(pid)}
        try:
            names = self.rows(f"SELECT name FROM workers WHERE kind = '{kind}' ORDER BY started_at")
        except (OperationalError, InterfaceError):
            return []  # the database is the one that was hit
        return [pid for (name,) in names if (pid := _pid(name)) in ours]

    def age_dead_workers(self) -> None:
        """Make the heartbeat of every process that is dead or stopped an old one, so that nobody needs to wait for it."""
        dead = [worker for worker, name in self.rows("SELECT id, name FROM workers") if not _runs(_pid(name))]
        with self.engine.begin() as connection:
            aged = "UPDATE workers SET heartbeat_at = heartbeat_at - interval '1 minute' WHERE id = ANY(:dead)"
            connection.execute(text(aged), {"dead": dead})

    @property
    def single(self) -> RabbitMQ:
        """The only RabbitMQ node."""
        assert isinstance(self.rabbitmq, RabbitMQ), "this fault needs a single node"
        return self.rabbitmq

    @property
    def cluster(self) -> RabbitMQCluster:
        """The RabbitMQ cluster."""
        assert isinstance(self.rabbitmq, RabbitMQCluster), "this fault needs a cluster"
        return self.rabbitmq

    def doctor(self) -> dict[str, dict[str, Any]]:
        """Run `aura doctor`; return its checks by name."""
        command = ("aura", "doctor", "--format", "json")
        ran = subprocess.run(command, env=self.env(), capture_output=True, text=True, timeout=120, check=False)
        return {row["name"]: row for row in json.loads(ran.stdout)}

    def rabbitmq_problems(self) -> list[Problem]:
        """Return what the check `rabbitmq` of `aura doctor` finds, in this process: a command takes four seconds to start."""
        env = self.env()
        names = ("RABBITMQ_URL", "DATABASE_URL")
        quorum = env["AURA_QUORUM_QUEUES"] == "True"
        settings = given(env="development", quorum_queues=quorum, **{name: env[name] for name in names})
        return inspect(settings, actors.broker.get_declared_queues(), actors.TOPOLOGY)

    def children(self, name: str) -> list[int]:
        """Return a program's processes, its own first."""
        return sorted(_alive(self.supervisor.programs[name]))

    def reset_vhost(self) -> None:
        """Create the virtual host again, without a queue or a message."""
        every = '<<".*">>'
        vhost, who = f'<<"{VHOST}">>', '<<"tests">>'
        self.rabbitmq.evaluate(f"rabbit_vhost:delete({vhost}, {who})")
        self.rabbitmq.evaluate(f"rabbit_vhost:add({vhost}, {who})")
        self.rabbitmq.evaluate(
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, {vhost}, {every}, {every}, {every}, {who})'
        )

    def close(self) -> None:
        self.over.set()
        self.failpoints.release_all()
        self.supervisor.close()
        super().close()
        for proxy in (self.to_rabbitmq, self.to_postgresql, self.to_redis, *self._proxies):
            proxy.close()
        if self.pgbouncer is not None:
            self.pgbouncer.close()
        self.post.close()
        self.provider.close()
        self.desk.close()
        self.postgresql.start().drop_database(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _through(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    assert parts.port
    return url.replace(f":{parts.port}/", f":{proxy.port}/")


def _alive(program: Program) -> set[int]:
    running = program.process is not None and program.process.poll() is None
    return tree(program.process.pid) if program.process is not None and running else set()


def _pid(worker: str) -> int:
    """Return the process of a worker's name, which is host:pid."""
    return int(worker.rpartition(":")[2])


def _runs(pid: int) -> bool:
    """Return whether a process is neither stopped nor gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "TtZX"
