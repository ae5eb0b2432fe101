"""The pool closes idle connections by itself, keeps one, and never more than its size."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, create_engine

from db.idle_pool import IdlePool
from tests.conftest import wait_until


@pytest.fixture
def engine(sqlite_url: str) -> Iterator[Engine]:
    arguments = {"check_same_thread": False}
    engine = create_engine(sqlite_url, poolclass=IdlePool, pool_size=5, max_overflow=0, connect_args=arguments)
    yield engine
    engine.dispose()


def _use(engine: Engine, number: int) -> None:
    with ExitStack() as open_ones:
        for _ in range(number):
            open_ones.enter_context(engine.connect())


def _pool(engine: Engine) -> IdlePool:
    assert isinstance(engine.pool, IdlePool)
    return engine.pool


def test_a_connection_that_was_used_lately_stays_open(engine: Engine):
    _use(engine, 5)

    assert _pool(engine).close_idle() == 0
    assert _pool(engine).checkedin() == 5


def test_idle_connections_are_closed_by_a_thread_and_one_stays(engine: Engine):
    pool = _pool(engine)
    pool.idle_seconds, pool.check_seconds = 0.0, 0.01
    _use(engine, 5)

    wait_until(lambda: pool.checkedin() == 1, 10, "idle connections are closed")
    wait_until(
        lambda: not any(each.name == "idle-connections" for each in threading.enumerate()), 10, "the thread ends"
    )


def test_after_idle_connections_were_closed_the_pool_has_its_full_size_again(engine: Engine):
    pool = _pool(engine)
    pool.idle_seconds = -1.0
    for _ in range(3):
        _use(engine, 5)
        assert pool.close_idle() == 4

    _use(engine, 5)
    assert pool.checkedin() == 5


def test_a_connection_in_use_is_never_closed(engine: Engine):
    pool = _pool(engine)
    pool.idle_seconds = -1.0
    with engine.connect() as used:
        _use(engine, 4)
        pool.close_idle()
        assert used.exec_driver_sql("SELECT 1").scalar() == 1
