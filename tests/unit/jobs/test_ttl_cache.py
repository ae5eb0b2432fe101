"""The cache of a query's result: how long a result is used, for which database, and without None."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from aura.jobs.ttl_cache import TTLCache
from db import reading, transaction


class Query:
    """Counts its calls, and returns the results in order."""

    def __init__(self, *results: Any) -> None:
        self.results, self.calls = list(results), 0

    def __call__(self, _session: Session) -> Any:
        self.calls += 1
        return self.results.pop(0)


pytestmark = pytest.mark.usefixtures("database")


def test_a_result_is_used_until_the_cache_is_cleared():
    query = Query("first", "second")
    cache = TTLCache(3600.0, query)
    with reading() as session:
        assert [cache(session), cache(session)] == ["first", "first"]
        cache.clear()
        assert [cache(session), cache(session)] == ["second", "second"]
    assert query.calls == 2


def test_an_expired_result_is_queried_again():
    query = Query("first", "second")
    cache = TTLCache(0.0, query)
    with reading() as session:
        assert [cache(session), cache(session)] == ["first", "second"]


def test_a_result_of_none_is_not_cached():
    query = Query(None, "found")
    cache = TTLCache(3600.0, query)
    with reading() as session:
        assert [cache(session), cache(session), cache(session)] == [None, "found", "found"]
    assert query.calls == 2


def test_each_database_has_its_own_result():
    query = Query("written", "read")
    cache = TTLCache(3600.0, query)
    with transaction() as writer:
        engine = writer.get_bind().engine
        assert cache(writer) == cache.recent(engine) == "written"
    other = engine.execution_options()  # stands for the engine of another database
    assert cache.recent(other) is None
