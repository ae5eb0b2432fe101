"""Starts private RabbitMQ, PostgreSQL, Redis and Dovecot servers on free ports, with data in a temporary folder.

    with RabbitMQ() as rabbitmq:
        url = rabbitmq.create_vhost()
        rabbitmq.kill()     # SIGKILL, as in a crash
        rabbitmq.start()    # the same port, the same data

``python -m tests.services`` runs the first three in the foreground and prints the variables that point Aura at them.

Each server gets a guard: a shell that waits on a pipe which only this process holds open. However this process ends, the
pipe closes, and the guard ends the server. So even a SIGKILL of pytest leaves no server behind.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import grp
import imaplib
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ClassVar, Self, TypeVar
from urllib.parse import quote, urlsplit

import psycopg2
from psycopg2 import sql

from tests.install import ServiceMissing, install, missing_tools
from tests.receiver import PEM

T = TypeVar("T")

# Below the range from which the kernel picks ports for outgoing connections, so that a restart finds its port free.
PORTS = range(20000, 32000)


class ServiceFailed(Exception):
    """A server did not start or did not answer. The message ends with the last lines of its log."""


def wait_until(
    predicate: Callable[[], T], timeout: float = 10.0, message: str | Callable[[], str] = "", poll: float = 0.02
) -> T:
    """Call the predicate until it returns something true, and return that. Raises AssertionError after the timeout."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            text = message() if callable(message) else message
            raise AssertionError(f"{text or 'the awaited condition'}: not within {timeout:g} s, last value {value!r}")
        time.sleep(poll)
    return value


class Service:
    """A server. ``start``, ``stop`` and ``kill`` may be repeated; ``close`` also removes its data."""

    package: ClassVar[str]
    #: The signal of a regular stop, and the signal of an immediate stop when the data is no longer needed.
    stopping: ClassVar[signal.Signals] = signal.SIGTERM
    closing: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        self.port = free_port()
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guards: list[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]] = []

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def directory(self) -> Path:
        if self._directory is None:
            raise RuntimeError(f"{type(self).__name__} has not been started")
        return self._directory

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{type(self).__name__} is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start the server and wait until it answers; the second time on the same port, with the same data.

        The limit is minutes: several servers start side by side, on a machine that may be busy with other tests.
        """
        if self.running:
            return self
        self._end(signal.SIGKILL)  # processes that remain after an unexpected end
        install(missing)
        if self._directory is None:
            # As root not in TMPDIR, which the user postgres may be unable to enter.
            self._directory = Path(tempfile.mkdtemp(prefix="aura-", dir="/tmp" if os.geteuid() == 0 else None))
            self._directory.chmod(0o755)
            atexit.register(self.close)
            self.prepare()
        self._process = self.launch()
        try:
            wait_until(
                lambda: not self.running or self.answers(), timeout=240, message=f"{type(self).__name__} answers"
            )
            if not self.running:
                raise ServiceFailed(f"{type(self).__name__} ended with {self._process.returncode}:\n{self.output()}")
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop the server; its data remains for the next start."""
        self._end(self.stopping)

    def kill(self) -> None:
        """Send SIGKILL to the server and all its children, as the kernel does when memory runs out."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server immediately and remove its data."""
        self._end(self.closing)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        atexit.unregister(self.close)

    def output(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        return "\n".join((self.directory / "output.log").read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def prepare(self) -> None:
        """Initialize the new data folder."""

    def launch(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def spawn(
        self, command: list[str], *, environment: dict[str, str] | None = None, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in a separate process group, with a guard that stops it after the end of this process."""
        with (self.directory / "output.log").open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=_environment() | (environment or {}),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
            )
        ending = (
            f'read -r word; kill -{self.closing.name[3:]} -{process.pid}; [ "$word" ] || {{ sleep 1; rm -rf "$0"; }}'
        )
        guard = subprocess.Popen(
            ["sh", "-c", ending, str(self.directory)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._guards.append((process, guard))
        return process

    def _end(self, how: signal.Signals) -> None:
        if not self._guards:
            return
        pids = {pid for process, _ in self._guards for pid in tree(process.pid)}
        if how is signal.SIGKILL:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
        # the helpers of a server, such as epmd, were started before it and go after it
        for process, guard in reversed(self._guards):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(how)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            guard.communicate(b"done\n")
        self._guards.clear()
        self._process = None
        wait_until(lambda: not pids & _alive(), timeout=60, message=f"every process of {type(self).__name__} is gone")


class VirtualHosts(ABC):
    """The virtual hosts of a RabbitMQ node or cluster, by Erlang expressions."""

    @abstractmethod
    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression inside a node and return what it printed. Raises ServiceFailed."""

    @abstractmethod
    def vhost_url(self, name: str) -> str:
        """Return the URL of a virtual host."""

    def create_vhost(self) -> str:
        """Create an empty virtual host and return its URL."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        every = '<<".*">>'
        self.evaluate(f'rabbit_vhost:add(<<"{name}">>, <<"tests">>)')
        self.evaluate(
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, {every}, {every}, {every}, <<"tests">>)'
        )
        return self.vhost_url(name)

    def delete_vhost(self, url: str) -> None:
        """Delete a virtual host with its queues; the broker closes the connections to it."""
        self.evaluate(f'rabbit_vhost:delete(<<"{urlsplit(url).path[1:]}">>, <<"tests">>)')


class RabbitMQ(Service, VirtualHosts):
    """A private RabbitMQ node with its own epmd, Erlang cookie, ports and folders.

    Its Erlang shell reads what we write. So a virtual host for each test takes 20 ms, where rabbitmqctl takes a second.
    """

    package = "rabbitmq-server"

    def __init__(self) -> None:
        super().__init__()
        self.epmd_port, self.distribution_port = free_port(), free_port()
        self._replies = 0
        self._lock = threading.Lock()

    @staticmethod
    def program() -> str | None:
        # Debian's /usr/sbin/rabbitmq-server changes the user first; the script behind it does not.
        return shutil.which("rabbitmq-server", path="/usr/lib/rabbitmq/bin") or shutil.which("rabbitmq-server")

    @property
    def url(self) -> str:
        return self.vhost_url("%2F")

    def vhost_url(self, name: str) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def queues(self, url: str) -> dict[str, int]:
        """Return every queue of a virtual host with the number of its messages, those in delivery included."""
        name = urlsplit(url).path[1:].replace("%2F", "/")
        reply = self.evaluate(f'rabbit_amqqueue:info_all(<<"{name}">>, [name, messages])')
        found = re.findall(r'queue,<<"([^"]*)">>\}\},\{messages,(\d+)\}', reply)
        return {queue: int(messages) for queue, messages in found}

    def block(self) -> None:
        """Raise the memory alarm: the broker blocks every connection that publishes."""
        self.evaluate("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})")

    def unblock(self) -> None:
        self.evaluate("rabbit_alarm:clear_alarm({resource_limit, memory, node()})")

    def close_connections(self) -> None:
        """Have the broker close every connection, as an operator or a rolling upgrade would."""
        self.evaluate(
            '[rabbit_networking:close_connection(P, "closed by a test") || P <- rabbit_networking:connections()]'
        )

    def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression inside the node and return what it printed. Raises ServiceFailed."""
        with self._lock:
            if self._process is None or self._process.stdin is None:
                raise ServiceFailed("RabbitMQ is not running")
            self._replies += 1
            mark = f"reply-{self._replies}:"
            self._process.stdin.write(f'io:format("~n{mark} ~0p~n", [catch ({expression})]).\n'.encode())
            self._process.stdin.flush()
            log = self.directory / "output.log"
            reply = re.compile(rf"^{mark} (.*)\n", re.MULTILINE)
            found = wait_until(
                lambda: reply.search(log.read_text(errors="replace")),
                timeout=60,
                poll=0.005,
                message=f"Erlang answers {expression}",
            )
        assert found
        if found[1].startswith("{'EXIT'"):
            raise ServiceFailed(f"{expression}: {found[1]}")
        return found[1]

    def prepare(self) -> None:
        (self.directory / "enabled_plugins").write_text("[].\n")
        # A full disk on a developer's machine must not block the publishers.
        (self.directory / "rabbitmq.conf").write_text(
            "disk_free_limit.absolute = 1MB\nlog.console = false\nlog.file.level = warning\n"
        )

    def launch(self) -> subprocess.Popen[bytes]:
        epmd, server = shutil.which("epmd"), self.program()
        assert epmd
        assert server
        self.spawn([epmd, "-port", str(self.epmd_port), "-address", "127.0.0.1"])
        wait_until(
            lambda: _ask(self.epmd_port, b"\x00\x01n"),
            timeout=120,
            message=lambda: f"epmd on port {self.epmd_port} answers; its output: {self.output()!r}",
        )
        self.after_epmd()
        return self.spawn([server], environment=self.environment())

    def after_epmd(self) -> None:
        """Do nothing: a node of a cluster registers the other nodes before it starts."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the server."""
        base = self.directory
        return {
            "HOME": str(base),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_MNESIA_BASE": str(base / "data"),
            "RABBITMQ_NODENAME": f"aura-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_PID_FILE": str(base / "pid"),
        }

    def answers(self) -> bool:
        return bool(_ask(self.port, b"AMQP\x00\x00\x09\x01"))


#: What is small is deleted, which takes a fraction of the time that new files take.
EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
SET session_replication_role = replica;
DO $$
DECLARE
    each regclass;
    filled boolean;
BEGIN
    FOR each IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0 LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each) INTO filled;
        IF filled AND pg_relation_size(each) > 1000000 THEN
            EXECUTE format('TRUNCATE %s CASCADE', each);
        ELSIF filled THEN
            EXECUTE format('DELETE FROM %s', each);
        END IF;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL;
END $$;
"""


class PostgreSQL(Service):
    """A private PostgreSQL cluster. Under root it runs as the user postgres, because it refuses to run as root."""

    package = "postgresql"
    stopping = signal.SIGINT  # "fast": it does not wait for clients
    closing = signal.SIGQUIT  # "immediate": unlike SIGKILL it releases the shared memory

    def __init__(self) -> None:
        super().__init__()
        #: More variables of the server's environment, from its next start on.
        self.environment: dict[str, str] = {}

    @staticmethod
    def program(name: str = "postgres") -> str | None:
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[4]))
        return shutil.which(name, path=os.pathsep.join([*reversed(folders), os.environ.get("PATH", "")]))

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create_database(self, template: str = "template1") -> str:
        """Create a database, empty or a copy of another database without connections, and return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.database_url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database and close its connections."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(urlsplit(url).path[1:])))

    def empty_database(self, url: str) -> None:
        """Delete all rows except the revision and restart all sequences, even with open connections; cheaper than a copy."""
        with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(EMPTY)

    def prepare(self) -> None:
        self.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def run(self, name: str, *arguments: str) -> None:
        """Run a program of PostgreSQL in the folder of this server, as its user. Raises ServiceFailed."""
        if self._user:
            shutil.chown(self.directory, self._user, self._user)
        program = self.program(name)
        assert program
        result = subprocess.run(
            [program, *arguments],
            cwd=self.directory,
            env=_environment(),
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise ServiceFailed(f"{name} failed:\n{result.stdout}{result.stderr}")

    def launch(self) -> subprocess.Popen[bytes]:
        # fsync protects against a power cut; our kills are SIGKILLs, which the kernel's page cache survives
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        options |= {"fsync": "off", "full_page_writes": "off", "max_connections": 200}
        server = self.program()
        assert server
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [server, "-D", str(self.directory / "data"), *settings]
        return self.spawn(command, environment=self.environment, user=self._user)

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    @property
    def _user(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None

    def _execute(self, statement: sql.Composed) -> None:
        connection = psycopg2.connect(self.url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


class Redis(Service):
    """A private Redis server that writes every command to disk."""

    package = "redis-server"

    @staticmethod
    def program() -> str | None:
        return shutil.which("redis-server")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def launch(self) -> subprocess.Popen[bytes]:
        server = self.program()
        assert server
        persistence = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        return self.spawn([server, "--port", str(self.port), "--bind", "127.0.0.1", *persistence])

    def flush(self) -> None:
        """Remove every key of every database."""
        if not (answer := _ask(self.port, b"FLUSHALL\r\n", timeout=60)).startswith(b"+OK"):
            raise ServiceFailed(f"Redis did not flush: {answer!r}")

    def answers(self) -> bool:
        return _ask(self.port, b"PING\r\n").startswith(b"+PONG")


class Dovecot(Service):
    """A private IMAP server over TLS; each user who logs in with the right password has an empty mailbox.

    Clients trust it when SSL_CERT_FILE names PEM of tests.receiver. It also accepts access tokens of the token server on
    `token_port`, which a test starts with `TokenServer(dovecot.token_port)` of tests.oauth_server.
    """

    package = "dovecot-imapd"
    password = "let:me@in"

    def __init__(self) -> None:
        super().__init__()
        self.token_port = free_port()

    @staticmethod
    def program() -> str | None:
        # Debian keeps it in sbin, which a user's PATH does not name; the IMAP part is a package of its own
        there = Path("/usr/lib/dovecot/imap").exists()
        return (
            shutil.which("dovecot", path=os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")])) if there else None
        )

    @classmethod
    def version(cls) -> tuple[int, ...]:
        """Return the version of the installed Dovecot; 2.4 renamed many settings."""
        server = cls.program()
        assert server
        output = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(int(number) for number in re.findall(r"\d+", output)[:2])

    @property
    def url(self) -> str:
        return self.mailbox_url("desk")

    def mailbox_url(self, user: str, password: bool = True) -> str:
        if not password:
            return f"imaps://{user}@127.0.0.1:{self.port}/INBOX"
        return f"imaps://{user}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/INBOX"

    def deliver(self, user: str, mails: dict[str, bytes]) -> None:
        """Put mails into a mailbox, each a file of this name, as a mail server does."""
        for folder in (self.mailbox(user), *(self.mailbox(user) / name for name in ("tmp", "new", "cur"))):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, self._user)
        for name, raw in mails.items():
            (waiting := self.mailbox(user) / "tmp" / name).write_bytes(raw)
            shutil.chown(waiting, self._user)
            waiting.rename(self.mailbox(user) / "new" / name)

    def folder(self, user: str, name: str = "") -> list[bytes]:
        """Return the mails of a folder of a mailbox, such as `Aura.done`; without a name, of its INBOX."""
        place = self.mailbox(user) / f".{name}" if name else self.mailbox(user)
        return [path.read_bytes() for kind in ("new", "cur") for path in sorted((place / kind).glob("*"))]

    def mailbox(self, user: str) -> Path:
        return self.directory / "mail" / user

    def prepare(self) -> None:
        (self.directory / "mail").mkdir()
        shutil.chown(self.directory / "mail", self._user)
        internal = ("default_login_user", "default_internal_user", "default_internal_group")
        group = grp.getgrgid(pwd.getpwnam(self._user).pw_gid).gr_name
        as_us = zip(internal, (self._user, self._user, group), strict=True) if os.geteuid() else ()
        mails = f"{self.directory}/mail"
        introspection = f"""
            introspection_mode = post
            introspection_url = http://mail-server:knows-all-tokens@127.0.0.1:{self.token_port}/introspect
            force_introspection = yes
            username_attribute = username
            active_attribute = active
            active_value = true
        """
        if self.version() >= (2, 4):
            # the version of the syntax must be the first setting
            first = """
            dovecot_config_version = 2.4.0
            dovecot_storage_version = 2.4.0
            """
            differs = f"""
            ssl_server_cert_file = {PEM}
            ssl_server_key_file = {PEM}
            mail_driver = maildir
            mail_path = {mails}/%{{user}}
            oauth2 {{
              {introspection}
            }}
            passdb static {{
              password = {self.password}
            }}
            userdb static {{
              fields {{
                uid = {self._user}
                gid = {group}
                home = {mails}/%{{user}}
              }}
            }}
            """
        else:
            first = ""
            (self.directory / "oauth2.conf").write_text(textwrap.dedent(introspection))
            differs = f"""
            ssl_cert = <{PEM}
            ssl_key = <{PEM}
            mail_location = maildir:{mails}/%u
            passdb {{
              driver = oauth2
              mechanisms = xoauth2 oauthbearer
              args = {self.directory}/oauth2.conf
            }}
            passdb {{
              driver = static
              args = password={self.password}
            }}
            userdb {{
              driver = static
              args = uid={self._user} gid={group} home={mails}/%u
            }}
            """
        (self.directory / "dovecot.conf").write_text(
            first
            + f"""
            base_dir = {self.directory}/run
            log_path = /dev/stderr
            protocols = imap
            listen = 127.0.0.1
            ssl = required
            auth_mechanisms = plain login xoauth2 oauthbearer
            first_valid_uid = 1
            service imap-login {{
              chroot =
              inet_listener imap {{
                port = 0
              }}
              inet_listener imaps {{
                port = {self.port}
                ssl = yes
              }}
            }}
            service anvil {{
              chroot =
              unix_listener anvil-auth-penalty {{
                mode = 0
              }}
            }}
            auth_failure_delay = 0
            """
            + differs
            + "".join(f"{name} = {value}\n" for name, value in as_us)
        )

    def launch(self) -> subprocess.Popen[bytes]:
        server = self.program()
        assert server
        return self.spawn([server, "-F", "-c", str(self.directory / "dovecot.conf")])

    def answers(self) -> bool:
        try:
            imaplib.IMAP4_SSL("127.0.0.1", self.port, timeout=5).shutdown()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True

    @property
    def _user(self) -> str:
        # it lets nobody's mails belong to root
        return pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "nobody"


def missing() -> list[str]:
    """Return the Debian packages of the servers that are not installed."""
    return [kind.package for kind in (RabbitMQ, PostgreSQL, Redis, Dovecot) if not kind.program()]


def free_port(ports: range = PORTS) -> int:
    """Return a port of 127.0.0.1 without a listener, which no other process of the tests gets while this one lives."""
    while True:
        port = random.SystemRandom().choice(ports)
        if reserve_port(port):
            return port


def reserve_port(port: int) -> bool:
    """Reserve a port for this process. Returns False when somebody listens on it or has reserved it.

    Nobody may listen on it yet: a server takes seconds to start, and other processes look for ports meanwhile. So a name in
    Linux's abstract namespace of sockets stands for the reservation; it ends with the process.
    """
    reservation = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            reservation.bind(f"\0aura-tests-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        reservation.close()
        return False
    _reserved.append(reservation)
    return True


#: Held open until the process ends.
_reserved: list[socket.socket] = []


def start_all(*services: Service) -> None:
    """Start servers side by side; if one fails, all are closed and its error is raised."""
    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        started = [pool.submit(service.start) for service in services]
    if errors := [error for future in started if (error := future.exception())]:
        for service in services:
            service.close()
        raise errors[0]


def _environment() -> dict[str, str]:
    """Return the environment of a server: without proxies and the RABBITMQ_* and PG* variables of the developer."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def _ask(port: int, question: bytes, timeout: float = 1.0) -> bytes:
    """Return the first bytes of the answer on a port; empty without an answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""


def _processes() -> list[tuple[int, int, str]]:
    """Return process id, parent and state of every process."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), int(parent), state) for pid, parent, state in (line.split() for line in listing.splitlines())]


def tree(root: int) -> set[int]:
    """Return the ids of a process and all its descendants, in any process group or session."""
    children: dict[int, list[int]] = {}
    for pid, parent, _ in _processes():
        children.setdefault(parent, []).append(pid)
    found, waiting = set(), [root]
    while waiting:
        found.add(pid := waiting.pop())
        waiting += children.get(pid, [])
    return found


def _alive() -> set[int]:
    return {pid for pid, _, state in _processes() if not state.startswith("Z")}


def main(out: IO[str] = sys.stdout) -> None:
    """Run the servers until Ctrl-C or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell in the background has its programs ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    rabbitmq, postgresql, redis = RabbitMQ(), PostgreSQL(), Redis()
    try:
        start_all(rabbitmq, postgresql, redis)
        for name, service in (("RABBITMQ_URL", rabbitmq), ("DATABASE_URL", postgresql), ("REDIS_URL", redis)):
            print(f"export {name}={service.url}", file=out, flush=True)
        print("# running; Ctrl-C stops them and removes their data", file=out, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        for service in (rabbitmq, postgresql, redis):
            service.close()


if __name__ == "__main__":
    try:
        # `--install` only sees to it that they, and the tools of the tests, can be started
        install(lambda: missing() + missing_tools()) if "--install" in sys.argv else main()
    except (ServiceMissing, ServiceFailed) as error:
        sys.exit(f"tests.services: {error}")
