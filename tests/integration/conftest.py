"""Aura on real services: PostgreSQL, and a RabbitMQ broker with every actor declared on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from aura.jobs.broker import JobBroker
from aura.settings import get_settings
from tests.commands import run
from tests.embedded import *  # noqa: F403
from tests.embedded import fresh_broker

__all__ = ["run"]


@pytest.fixture
def service(postgres: str, rabbitmq_url: str, configure: Callable[..., Any]) -> Iterator[JobBroker]:
    """The broker of service mode, on a migrated database and an empty virtual host; nothing runs yet."""
    with fresh_broker(configure(DATABASE_URL=postgres, RABBITMQ_URL=rabbitmq_url, AURA_DIGEST_ABOVE="0")) as broker:
        assert isinstance(broker, JobBroker)
        yield broker


@pytest.fixture
def embedded(database: str, configure: Callable[..., Any]) -> Iterator[JobBroker]:
    """A broker of embedded mode, on a migrated database; nothing runs yet. Every notification leaves by itself."""
    with fresh_broker(configure(AURA_DIGEST_ABOVE="0")) as broker:
        assert isinstance(broker, JobBroker)
        yield broker


@pytest.fixture(params=["sqlite", "service"])
def broker(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each kind of broker, with nothing running."""
    given = request.getfixturevalue(request.param)
    if request.param == "service":
        yield given
        return
    with fresh_broker(get_settings()) as embedded:
        yield embedded


@pytest.fixture(autouse=True)
def logs_of_this_test_alone() -> Iterator[None]:
    """Take back what booting a worker does to the logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
