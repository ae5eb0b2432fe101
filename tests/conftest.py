"""Fixtures for every test: a clean environment, private services, one fresh database or virtual host a test.

A server starts when the first test asks for one, all that the chosen tests need side by side. Unit tests start none.
"""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
from pydantic import AliasChoices

from aura import settings
from aura.settings import Settings, get_settings
from db.database import dispose
from tests.services import Dovecot, PostgreSQL, RabbitMQ, Redis, Service, wait_until
from tests.swift import Swift

__all__ = ["ROOT", "environment_variables", "wait_until"]

ROOT = Path(__file__).resolve().parent.parent
# the default is production, which refuses embedded mode; modules read the settings when they are imported, too
os.environ["AURA_ENV"] = "development"

# No deadline and no check of the speed: a busy machine is no bug. No database: a test leaves nothing in the working folder.
hypothesis.settings.register_profile(
    "aura", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], database=None, print_blob=True
)
# `make check` and `make test` take this one, because they run often; `make chaos` tries the full number.
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("aura"), max_examples=20)
hypothesis.settings.load_profile("aura")

KINDS: dict[str, type[Service]] = {
    "rabbitmq": RabbitMQ,
    "postgresql": PostgreSQL,
    "redis": Redis,
    "dovecot": Dovecot,
    "swift": Swift,
}


def environment_variables() -> list[str]:
    """Return the name of every environment variable that aura/settings.py reads."""
    names: list[str] = []
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        if isinstance(alias, AliasChoices):
            names += [str(choice) for choice in alias.choices]
        else:
            names.append(str(alias) if alias else f"AURA_{field.upper()}")
    return names


# Environment


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Hide the developer's variables and .env: the working folder is tmp_path, and settings are read again."""
    for name in environment_variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AURA_ENV", "development")
    monkeypatch.setattr(settings, "_in_shell", [])
    monkeypatch.setattr(settings, "_chosen", [])
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Settings]]:
    """A function that sets environment variables by name and returns the settings read from them."""
    databases = []

    def configure(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        databases.extend(name for name in variables if name == "DATABASE_URL")
        get_settings.cache_clear()
        return get_settings()

    yield configure
    if databases:
        dispose()  # the next test has another database


@pytest.fixture
def one_day() -> None:
    """Wait for the next day, in UTC, if this one ends within minutes: processes count the costs of a day."""
    today = datetime.now(UTC)
    if (today + timedelta(minutes=4)).date() != today.date():
        wait_until(lambda: datetime.now(UTC).date() != today.date(), 300, "the day does not end", 1)


# Services


class Services:
    """The servers of this session, each started once and in the background."""

    def __init__(self, needed: set[str]) -> None:
        self._needed = needed
        self._pool = ThreadPoolExecutor(max_workers=len(KINDS))
        self._starting: dict[str, Future[Service]] = {}

    def get(self, name: str) -> Service:
        for each in sorted(self._needed | {name}):
            if each not in self._starting:
                self._starting[each] = self._pool.submit(KINDS[each]().start)
        return self._starting[name].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for starting in self._starting.values():
            if not starting.cancelled() and starting.exception() is None:
                starting.result().close()


NEEDED = pytest.StashKey[set[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests before `-m` chooses: those of integration/ and acceptance/ by folder, those that measure growth as slow."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in ("integration", "acceptance"):
            item.add_marker(folder)
        if measures_growth(item):
            item.add_marker("slow")


def measures_growth(item: pytest.Item) -> bool:
    """Return whether a test calls `growth`, the measurement of linear time, which takes many calls; its own tests are quick."""
    code = getattr(getattr(item, "function", None), "__code__", None)
    return code is not None and "growth" in code.co_names and item.path.name != "test_growth.py"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep reports in UTF-8, whatever a test has printed: they go from one process to another."""
    report = yield
    report.sections = [(name, output.encode("utf-8", "backslashreplace").decode()) for name, output in report.sections]
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    # modules and collected tests live to the end: the garbage collector need not walk through them
    gc.freeze()
    names = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    session.config.stash[NEEDED] = names & KINDS.keys()


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config) -> Iterator[Services]:
    services = Services(pytestconfig.stash.get(NEEDED, set()))
    yield services
    services.close()


@pytest.fixture(scope="session")
def rabbitmq(services: Services) -> RabbitMQ:
    """The RabbitMQ of this session; a test that kills it starts it again before it ends."""
    service = services.get("rabbitmq")
    assert isinstance(service, RabbitMQ)
    return service


@pytest.fixture(scope="session")
def postgresql(services: Services) -> PostgreSQL:
    """The PostgreSQL of this session; a test that kills it starts it again before it ends."""
    service = services.get("postgresql")
    assert isinstance(service, PostgreSQL)
    return service


@pytest.fixture(scope="session")
def redis(services: Services) -> Redis:
    """The Redis of this session; a test that kills it starts it again before it ends."""
    service = services.get("redis")
    assert isinstance(service, Redis)
    return service


@pytest.fixture
def rabbitmq_url(rabbitmq: RabbitMQ) -> Iterator[str]:
    """The URL of an empty virtual host, for this test alone."""
    url = rabbitmq.start().create_vhost()
    yield url
    rabbitmq.start().delete_vhost(url)


@pytest.fixture
def redis_url(redis: Redis) -> str:
    """The URL of an emptied Redis."""
    redis.start().flush()
    return redis.url


@pytest.fixture(scope="session")
def dovecot(services: Services) -> Dovecot:
    """The IMAP server of this session; a test that kills it starts it again before it ends."""
    service = services.get("dovecot")
    assert isinstance(service, Dovecot)
    return service


@pytest.fixture(scope="session")
def swift(services: Services) -> Swift:
    """The S3 server of this session; a test that stops it starts it again before it ends."""
    service = services.get("swift")
    assert isinstance(service, Swift)
    return service


@pytest.fixture
def bucket_url(swift: Swift) -> str:
    """The URL of an empty bucket, for this test alone."""
    return swift.start().create_bucket(f"bucket-{uuid.uuid4().hex}")


# Databases


@pytest.fixture
def postgres_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, for this test alone."""
    url = postgresql.start().create_database()
    yield url
    postgresql.start().drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet, for this test alone."""
    return f"sqlite:///{tmp_path / 'aura.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url
