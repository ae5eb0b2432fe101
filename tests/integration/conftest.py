"""Aura on real services: PostgreSQL, and a RabbitMQ broker with every actor declared on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import pytest
import structlog

import actors
from actors.broker import make_broker
from actors.in_process import InProcessBroker
from actors.rabbitmq import HintBroker
from pipelines import runtime
from settings import Settings, get_settings
from tests.embedded import database, declare, hand, migrated_postgresql, migrated_sqlite, postgres, sqlite

__all__ = ["database", "declare", "hand", "migrated_postgresql", "migrated_sqlite", "postgres", "sqlite"]


@contextmanager
def fresh_broker(settings: Settings) -> Iterator[dramatiq.Broker]:
    """Make a broker of the settings the one of this process for a while, with every actor declared on it.

    Each Worker leaves a middleware behind on its broker, and each broker boots once: so one broker a test.
    """
    usual, broker = actors.broker, make_broker(settings)
    for actor in list(usual.actors.values()):
        broker.declare_actor(actor)
    actors.broker = broker
    dramatiq.set_broker(broker)
    runtime._booted.clear()
    try:
        yield broker
    finally:
        actors.broker = usual
        dramatiq.set_broker(usual)
        broker.close()


@pytest.fixture
def service(postgres: str, rabbitmq_url: str, configure: Callable[..., Any]) -> Iterator[HintBroker]:
    """The broker of service mode, on a migrated database and an empty virtual host; nothing runs yet."""
    with fresh_broker(configure(DATABASE_URL=postgres, RABBITMQ_URL=rabbitmq_url)) as broker:
        assert isinstance(broker, HintBroker)
        yield broker


@pytest.fixture
def embedded(database: str) -> Iterator[InProcessBroker]:
    """A broker of embedded mode, on a migrated database; nothing runs yet."""
    with fresh_broker(get_settings()) as broker:
        assert isinstance(broker, InProcessBroker)
        yield broker


@pytest.fixture(autouse=True)
def logs_of_this_test_alone() -> Iterator[None]:
    """Take back what booting a worker does to the logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
