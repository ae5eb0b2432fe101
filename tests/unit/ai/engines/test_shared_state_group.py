"""Many calls of the shared state in one transaction; `test_shared_state` compares the results with those of single calls."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from aura.ai.engines import shared_state_group
from aura.ai.engines.shared_state import Op
from db import database, transaction

pytestmark = pytest.mark.integration


def statements_of(calls: list[Op]) -> int:
    """Return how many statements a transaction with these calls takes."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    with transaction() as session:
        session.connection()
        event.listen(database.engine(), "before_cursor_execute", note)
        try:
            results = shared_state_group.run(session, calls)
        finally:
            event.remove(database.engine(), "before_cursor_execute", note)
    assert len(results) == len(calls)
    return len(seen)


def some(number: int) -> list[Op]:
    """Return calls of each kind for so many tickets."""
    calls = []
    for ticket in range(number):
        calls += [Op("claim", (f"flight:{ticket}", 60.0)), Op("get", (f"answer:{ticket}",))]
        calls += [Op("reserve", ({"day": 10**9, f"ticket:{ticket}": 10**6}, 5, ())), Op("add", ("day", -1))]
        calls += [Op("put", (f"answer:{ticket}", "x", 60.0)), Op("delete", (f"flight:{ticket}",))]
    return calls


def test_the_number_of_statements_does_not_depend_on_the_number_of_calls(postgres: str) -> None:
    assert statements_of(some(40)) == statements_of(some(1)) <= 8
