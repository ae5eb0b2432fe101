"""PostgreSQL servers beside the one of tests.services: a streaming replica, one on a small disk, and PgBouncer.

with PostgreSQL() as primary, Standby(primary) as standby:
    primary.kill()
    standby.promote()
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from tests.install import install
from tests.services import PostgreSQL, Service, ServiceFailed, _environment, wait_until


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    """Open a session in autocommit mode and yield a cursor."""
    with contextlib.closing(psycopg2.connect(url, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def scalar(url: str, query: str) -> Any:
    """Return the first value of a query."""
    with session(url) as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


class Standby(PostgreSQL):
    """A streaming replica of a primary that runs; `promote` makes it a primary."""

    def __init__(self, primary: PostgreSQL) -> None:
        super().__init__()
        self.primary = primary

    def prepare(self) -> None:
        if self._user:
            shutil.chown(self.directory, self._user, self._user)
        program = self.program("pg_basebackup")
        assert program
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name=standby"
        result = subprocess.run(
            [program, "-d", source, "-D", "data", "-R", "-X", "stream", "-c", "fast"],
            cwd=self.directory,
            env=_environment(),
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise ServiceFailed(f"pg_basebackup failed:\n{result.stdout}{result.stderr}")

    def synchronous(self, on: bool = True) -> None:
        """Let each commit of the primary wait for this standby, or not."""
        with session(self.primary.url) as cursor:
            cursor.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{'standby' if on else ''}'")
            cursor.execute("SELECT pg_reload_conf()")
        if on:
            state = "SELECT coalesce(max(sync_state), '') FROM pg_stat_replication"
            wait_until(lambda: scalar(self.primary.url, state) == "sync", 20, "the standby is not synchronous")

    def hold(self) -> None:
        """Stop receiving, as behind a cut network: what the primary commits from now on does not arrive."""
        with session(self.url) as cursor:
            cursor.execute("ALTER SYSTEM SET primary_conninfo = ''")
            cursor.execute("SELECT pg_reload_conf()")
        receivers = "SELECT count(*) FROM pg_stat_wal_receiver"
        wait_until(lambda: scalar(self.url, receivers) == 0, 20, "the standby still receives")

    def caught_up(self) -> bool:
        """Return whether everything that the primary has written was replayed here."""
        written = scalar(self.primary.url, "SELECT pg_current_wal_lsn()::text")
        return bool(scalar(self.url, f"SELECT pg_last_wal_replay_lsn() >= '{written}'"))

    def promote(self) -> None:
        """Make it the primary, and wait until it accepts writes."""
        with session(self.url) as cursor:
            cursor.execute("ALTER SYSTEM RESET synchronous_standby_names")
            cursor.execute("SELECT pg_promote(true, 60)")
        wait_until(lambda: not scalar(self.url, "SELECT pg_is_in_recovery()"), 30, "the standby is not promoted")


class SmallDiskPostgreSQL(PostgreSQL):
    """A cluster on a file system of its own of some megabytes, which `fill` fills up. Needs the right to mount."""

    def __init__(self, megabytes: int = 120) -> None:
        super().__init__()
        self.megabytes = megabytes

    @staticmethod
    def possible() -> bool:
        """Return whether this process may mount a file system."""
        return os.geteuid() == 0 and _mounts()

    def prepare(self) -> None:
        (data := self.directory / "data").mkdir()
        _mount(data, self.megabytes)
        if self._user:
            shutil.chown(data, self._user, self._user)
        data.chmod(0o700)
        super().prepare()

    def fill(self) -> None:
        """Use up the free space."""
        fill(self.directory / "data" / "filling")

    def free(self) -> None:
        """Free the space again."""
        (self.directory / "data" / "filling").unlink(missing_ok=True)

    def close(self) -> None:
        self._end(self.closing)
        if self._directory is not None:
            subprocess.run(["umount", "-l", str(self._directory / "data")], capture_output=True)
        super().close()


def fill(path: Path) -> None:
    """Write a file until its file system is full."""
    with path.open("wb", buffering=0) as filling:
        for block in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    filling.write(b"\0" * block)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system of some megabytes on the folder for the block."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount(folder, megabytes)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def _mount(folder: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "aura-tests", str(folder)], check=True)


def _mounts() -> bool:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "aura-tests", folder]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def documented_poolers() -> list[tuple[str, str]]:
    """Return the pairs of `pool_mode` and AURA_DATABASE_PREPARE that docs/how-to/use-a-pooler.md says work."""
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "use-a-pooler.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\| works", page, re.MULTILINE)
    return [(mode, prepare) for mode, values in rows for prepare in re.findall(r"`(\w+)`", values)]


class PgBouncer(Service):
    """PgBouncer of the distribution, in front of a cluster, with nothing set but its mode and `settings`."""

    package = "pgbouncer"

    def __init__(self, server: PostgreSQL, mode: str, **settings: object) -> None:
        super().__init__()
        self.server, self.mode, self.settings = server, mode, settings

    @staticmethod
    def program() -> str | None:
        return shutil.which("pgbouncer", path=os.pathsep.join(["/usr/sbin", os.environ.get("PATH", "")]))

    @property
    def url(self) -> str:
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def prepare(self) -> None:
        install(lambda: [] if self.program() else [self.package])
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")

    def launch(self) -> subprocess.Popen[bytes]:
        program = self.program()
        assert program
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "admin_users": "postgres",
            "pool_mode": self.mode,
            "max_client_conn": 500,
            "logfile": self.directory / "pgbouncer.log",
            **self.settings,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={self.server.port} user=postgres", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self.directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        return self.spawn([program, "pgbouncer.ini"], user="postgres" if os.geteuid() == 0 else None)

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True
