"""Searches: a pool of their own, a limit of time, and cancellation."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from db import reading
from db.database import Cancellation, SearchTooSlow, dispose, engine, searching

pytestmark = pytest.mark.usefixtures("database")

#: A statement that takes minutes.
SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT count(*) FROM n"


def test_a_search_reads_rows():
    with searching() as session:
        assert session.scalar(text("SELECT count(*) FROM tickets")) == 0


def test_a_search_that_takes_too_long_is_cancelled_with_an_error_that_names_the_setting(configure: Any):
    configure(DATABASE_URL=engine().url.render_as_string(hide_password=False), AURA_SEARCH_SECONDS="0.2")
    with pytest.raises(SearchTooSlow, match=r"0\.2 seconds \(AURA_SEARCH_SECONDS\)"), searching() as session:
        session.scalar(text(SLOW))
    with searching() as session:
        assert session.scalar(text("SELECT 1")) == 1, "the connection is usable again"


def test_a_search_is_cancelled_from_another_thread_and_its_next_statement_is_refused():
    cancellation = Cancellation()
    timer = threading.Timer(0.2, cancellation.cancel)
    timer.start()
    with pytest.raises(SearchTooSlow), searching(cancellation) as session:
        session.scalar(text(SLOW))
    timer.join()
    with pytest.raises(SearchTooSlow), searching(cancellation) as session:
        session.scalar(text("SELECT 1"))


def test_another_error_of_a_search_stays_as_it_is():
    with pytest.raises(SQLAlchemyError) as error, searching() as session:
        session.scalar(text("SELECT nothing FROM nowhere"))
    assert not isinstance(error.value, SearchTooSlow)


def test_searches_take_no_connection_of_the_pool():
    with searching() as first, searching() as second, reading() as other:
        raw = [each.connection().connection.dbapi_connection for each in (first, second, other)]
        assert len({id(each) for each in raw}) == 3
        assert engine().pool is not first.get_bind().engine.pool
    dispose()
