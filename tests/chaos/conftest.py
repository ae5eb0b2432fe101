"""A system for each test: the Procfile's processes on the session's servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Installation
from tests.chaos.system import System
from tests.services import PostgreSQL, RabbitMQ, Redis

Build = Callable[..., System]


@pytest.fixture(scope="session")
def migrated(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database to copy."""
    url = postgresql.start().create_database()
    installation = Installation(tmp_path_factory.mktemp("migrated"), {"AURA_ENV": "development", "DATABASE_URL": url})
    installation.aura("migrate")
    installation.close()
    return url.rpartition("/")[2]


@pytest.fixture
def build(tmp_path: Path, rabbitmq: RabbitMQ, postgresql: PostgreSQL, redis: Redis, migrated: str) -> Iterator[Build]:
    """Return a function that boots a system with the given options."""
    with ExitStack() as systems:

        def build(**options: Any) -> System:
            servers = (rabbitmq.start(), postgresql.start(), redis.start())
            return systems.enter_context(System(tmp_path, *servers, migrated=migrated, **options)).boot()

        yield build
