"""Checks of the database: readiness says when nothing can be written, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import InternalError, OperationalError

from aura.web import database_health
from aura.web.database_health import FULL, READ_ONLY, STALLED, UNAVAILABLE, WriteProbe, check_database, check_failover
from db import transaction, unavailable
from db.database import dispose
from db.migrate import migrate
from tests.conftest import wait_until
from tests.postgresql_servers import SmallDiskPostgreSQL, fill, session, small_disk
from tests.services import PostgreSQL
from tests.unit.web.clients import TICKET, anonymous_client, local_client

MOUNTS = pytest.mark.skipif(not SmallDiskPostgreSQL.possible(), reason="needs the right to mount a small file system")


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    unavailable.failures.clear()
    yield
    dispose()
    unavailable.failures.clear()


def ready() -> tuple[int, str]:
    answer = anonymous_client().get("/health/ready")
    return answer.status_code, answer.json().get("code", "")


@MOUNTS
def test_a_full_disk_of_embedded_mode_is_not_ready_until_there_is_space(tmp_path: Path, configure: Callable[..., Any]):
    with small_disk(tmp_path / "disk", 4) as disk:
        configure(DATABASE_URL=f"sqlite:///{disk / 'aura.db'}")
        migrate()
        client = local_client()
        assert ready() == (200, "")
        fill(disk / "filling")
        answers = [client.post("/tickets", json=TICKET | {"external_id": str(number)}) for number in range(40)]
        assert answers[-1].status_code == 503
        assert answers[-1].headers["Retry-After"] == "5"

        assert ready() == (503, FULL)
        answer = anonymous_client().get("/health/ready")
        assert answer.headers["Retry-After"] == "5"
        assert "full" in check_database().detail or "space" in check_database().detail

        (disk / "filling").unlink()
        unavailable.failures.clear()
        wait_until(lambda: ready() == (200, ""), 20, "there is space again")
        dispose()


@pytest.mark.integration
def test_a_read_only_database_is_not_ready_and_requests_are_refused_with_retry_after(
    postgresql: PostgreSQL, configure: Callable[..., Any]
):
    url = postgresql.start().create_database()
    name = url.rpartition("/")[2]
    configure(DATABASE_URL=url)
    migrate()
    client = local_client()
    assert ready() == (200, "")
    with session(postgresql.url) as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    # the first requests may still find the closed sessions
    wait_until(lambda: ready() == (503, READ_ONLY), 30, "a read-only database is not ready")
    answer = client.post("/tickets", json=TICKET)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "read-only" in answer.json()["detail"]

    with session(postgresql.url) as cursor:  # the read-only sessions stay open
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    assert ready() == (200, "")
    assert client.post("/tickets", json=TICKET).status_code == 202
    dispose()
    postgresql.drop_database(url)


def test_a_write_that_failed_for_lack_of_space_is_not_ready_whatever_the_probe_says(database: str):
    assert check_database(10).ok
    error = OperationalError("INSERT", {}, Exception())
    error.orig.pgcode = unavailable.DISK_FULL  # type: ignore[union-attr]

    unavailable.failures.note(error)

    assert check_database(10).code == FULL


@pytest.mark.parametrize(("state", "code"), [("25006", READ_ONLY), ("53100", FULL), ("08006", UNAVAILABLE)])
def test_a_failed_probe_names_its_reason_and_is_repeated_soon(state: str, code: str, monkeypatch: pytest.MonkeyPatch):
    failing = [True]

    def write() -> None:
        if failing[0]:
            error = InternalError("INSERT", {}, Exception("refused"))
            error.orig.pgcode = state  # type: ignore[union-attr]
            raise error

    monkeypatch.setattr(database_health, "FAILED_PROBE_SECONDS", 0.0)
    probe = WriteProbe(write)
    assert (found := probe.failure(10)) is not None
    assert found[0] == code

    failing.clear()
    failing.append(False)
    assert probe.failure(10) is None


def test_a_probe_that_does_not_end_is_a_failure_after_a_while_and_only_one_runs(monkeypatch: pytest.MonkeyPatch):
    begun, go_on = [], threading.Event()

    def write() -> None:
        begun.append("")
        go_on.wait(60)

    probe = WriteProbe(write)
    assert probe.failure(0.0) is None, "a commit that takes a moment"
    monkeypatch.setattr(database_health, "STALLED_SECONDS", 0.0)
    assert (found := probe.failure(0.0)) is not None
    assert found[0] == STALLED
    assert len(begun) == 1
    go_on.set()
    assert probe.wait_until_ended(30)
    assert probe.failure(0.0) is None


def test_a_successful_probe_is_not_repeated_at_each_request():
    begun: list[str] = []
    probe = WriteProbe(lambda: begun.append(""))

    for _ in range(5):
        assert probe.failure(10) is None

    assert len(begun) == 1


def test_without_a_failover_the_check_says_so(database: str):
    with transaction():
        found = check_failover()

    assert (found.ok, found.fix) == (True, "")
