"""Conformance of the statements of both databases: the same results, values stored unchanged, nothing of a failed statement."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Float, Integer, Select, String, Text, delete, select
from sqlalchemy.exc import DataError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from db import jobs, reading, tickets, transaction
from db.database import engine
from db.jobs import NewJob
from db.models import Attempt, Job, Json, VerdictRecord
from db.new_tickets import NewTicket
from db.statements import (
    DIALECTS,
    BulkInsert,
    BulkUpdate,
    Dialect,
    Prepared,
    dialect_of,
    in_list,
    in_subquery,
    table,
    text_array,
    unnest,
    upsert,
)
from db.time import from_now
from tests.embedded import all_jobs, enqueue, seconds_until_due

pytestmark = pytest.mark.usefixtures("database")

on_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True
)

#: Text that a database, JSON, or a driver may take for something else.
TEXTS = [
    "",
    " ",
    "null",
    "NULL",
    "'; DROP TABLE jobs; --",
    '"quoted" \\ back\\slash \\n \\u0041',
    "line\nbreak\r\n\ttab",
    "{1,2}",
    "%s %(x)s :name ?",
    "Größe 東京 🎉 \u202e \ufffe",
    "é",
    "1e400",
    "x" * 100_000,
]
DOCUMENTS: list[Any] = [
    [],
    {},
    None,
    [None, True, False, 0, -1, 2**53 + 1, 10**30, 0.1, -1.5e-300, 1e16],
    {"a": {"b": [{"c": ["d", None]}]}, "": "empty key", "Größe": "🎉", "quote\"'\\": "\n"},
    ["text", ["nested", [[]]]],
    "just text",
    17,
]

_ATTEMPTS = BulkInsert(
    Attempt, ("job_id", "actor", "key", "pipeline", "number", "worker", "outcome", "error", "seconds")
)


def attempt(**changes: Any) -> dict[str, Any]:
    usual = {"job_id": 1, "actor": "classify", "key": "1", "pipeline": "", "number": 1, "worker": "w"}
    return usual | {"outcome": "completed", "error": None, "seconds": 0.0} | changes


def stored(column: Any) -> list[Any]:
    with reading() as session:
        return list(session.scalars(select(column).order_by(column.table.c.id)))


def insert(statement: BulkInsert, rows: list[dict[str, Any]]) -> None:
    with transaction() as session:
        statement(session, rows)


# -- insert -----------------------------------------------------------------------------------------------------------


def test_text_is_read_as_written():
    insert(_ATTEMPTS, [attempt(error=text) for text in [*TEXTS, None]])

    assert stored(table(Attempt).c.error) == [*TEXTS, None]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("job_id", [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]),
        ("number", [0, 2**31 - 1, -(2**31)]),
        ("seconds", [0.0, 0.1, 1 / 3, -1.5, 1e-300, 1.7976931348623157e308, 5e-324, 123456789.123456789]),
    ],
)
def test_numbers_are_read_as_written(column: str, values: list[Any]):
    insert(_ATTEMPTS, [attempt(**{column: value}) for value in values])

    found = stored(table(Attempt).c[column])
    assert (found, {type(value) for value in found}) == (values, {type(values[0])})


def test_documents_are_read_as_written():
    enqueue(*[NewJob("classify", str(number), [document]) for number, document in enumerate(DOCUMENTS)])

    assert [job.args for job in all_jobs()] == [[document] for document in DOCUMENTS]


def test_booleans_and_defaults_are_read_as_written():
    with transaction() as session:
        (ticket_id,) = tickets.create(session, "test", [(NewTicket(title="VPN drops"), {})])
    usual = dict.fromkeys(tickets.VERDICT_COLUMNS, "") | {
        "ticket_id": ticket_id,
        "confidence": 0.5,
        "priority_confidence": 1.0,
    }
    usual |= {"input_tokens": 0, "output_tokens": 7, "latency_ms": 0.25, "cost": 0.5, "cached": False}
    usual |= {"self_fix": ["a"], "words": [], "similar": [{"id": 1}], "resolution_p50": None, "resolution_p90": 1.5}
    insert(
        BulkInsert(VerdictRecord, tickets.VERDICT_COLUMNS), [usual | {"needs_review": value} for value in (True, False)]
    )

    assert stored(table(VerdictRecord).c.needs_review) == [True, False]
    assert [when.tzinfo is not None for when in stored(table(VerdictRecord).c.created_at)] == [True, True]


values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(values, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(values, documents, st.integers(0, 9)), min_size=1, max_size=20))
def test_an_enqueued_job_is_read_back_unchanged(documents_and_priorities: list[tuple[str, Any, int]]):
    with transaction() as session:
        session.execute(delete(Job))
        rows = [
            NewJob("classify", str(n), [text, document], priority=p)
            for n, (text, document, p) in enumerate(documents_and_priorities)
        ]
        jobs.enqueue(session, rows)

    found = {int(job.key): (*job.args, job.priority) for job in all_jobs()}
    assert found == dict(enumerate(documents_and_priorities))


def test_a_value_is_computed_from_an_input_for_each_row():
    enqueue(*[NewJob("classify", str(number), delay=number * 100.0) for number in range(4)])

    assert seconds_until_due() == [pytest.approx(seconds, abs=10) for seconds in (0, 100, 200, 300)]


def test_a_thousand_rows_are_one_call_and_return_the_wanted_columns():
    statement = BulkInsert(
        Attempt,
        ("job_id", "actor", "key", "pipeline", "worker", "outcome", "seconds"),
        computed=lambda _new: {"number": 7},
        finish=lambda insert: insert.returning(table(Attempt).c.job_id, table(Attempt).c.number),
    )
    with transaction() as session:
        returned = statement(session, [attempt(job_id=number) for number in range(1000)]).all()

    assert sorted(map(tuple, returned)) == [(number, 7) for number in range(1000)]


# -- update -----------------------------------------------------------------------------------------------------------


def test_an_update_changes_each_row_to_its_own_values_and_no_other():
    insert(_ATTEMPTS, [attempt(job_id=number, error=f"old {number}") for number in range(4)])
    ids = stored(table(Attempt).c.id)
    statement = BulkUpdate(
        Attempt,
        {"id": BigInteger(), "error": Text(), "seconds": Float(), "number": Integer(), "again": Boolean(), "x": Json},
        lambda new: {
            "error": new["error"],
            "seconds": new["seconds"],
            "number": table(Attempt).c.number + new["number"],
        },
    )
    rows = [
        {"id": ids[0], "error": TEXTS[5], "seconds": 0.1, "number": 4, "again": True, "x": {"a": [1]}},
        {"id": ids[2], "error": None, "seconds": 1e-300, "number": -1, "again": False, "x": None},
        {"id": 10**12, "error": "nobody", "seconds": 0.0, "number": 0, "again": False, "x": []},
    ]
    with transaction() as session:
        statement(session, rows)

    c = table(Attempt).c
    assert stored(c.error) == [TEXTS[5], "old 1", None, "old 3"]
    assert (stored(c.seconds), stored(c.number)) == ([0.1, 0.0, 1e-300, 0.0], [5, 1, 0, 1])


def test_an_update_may_compute_with_the_databases_clock():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    later = BulkUpdate(
        Job, {"id": BigInteger(), "delay": Float(), "key": String(200)}, lambda new: {"due_at": from_now(new["delay"])}
    )
    with transaction() as session:
        later(session, [{"id": job.id, "delay": 100.0 * int(job.key), "key": job.key} for job in all_jobs()])

    assert seconds_until_due() == [pytest.approx(seconds, abs=10) for seconds in (100, 200)]


# -- arrays -----------------------------------------------------------------------------------------------------------


def test_unnest_returns_the_texts_of_an_array_in_order():
    short = TEXTS[:-1]
    with reading() as session:
        each = unnest(session, "names")
        rows = session.scalars(select(each.c.value), {"names": text_array(session, short)}).all()
        none = session.scalars(select(each.c.value), {"names": text_array(session, [])}).all()

    assert (rows, none) == (short, [])


def test_in_list_matches_the_values_of_an_array():
    insert(_ATTEMPTS, [attempt(job_id=number, key=f"key {number}") for number in range(5)])
    c = table(Attempt).c
    by_number = Prepared(lambda session: select(c.job_id).where(in_list(session, c.job_id, "ids")).order_by(c.job_id))
    by_text = Prepared(lambda session: select(c.job_id).where(in_list(session, c.key, "keys")).order_by(c.job_id))
    with reading() as session:
        assert list(by_number(session, ids=[4, 1, 99, 1]).scalars()) == [1, 4]
        assert list(by_number(session, ids=[]).scalars()) == []
        assert list(by_text(session, keys=["key 2", "'; --"]).scalars()) == [2]


def test_in_subquery_runs_a_limited_select_once():
    insert(_ATTEMPTS, [attempt(job_id=number) for number in range(10)])
    c = table(Attempt).c
    with transaction() as session:
        chosen = select(c.id).order_by(c.job_id.desc()).limit(3)
        deleted = session.execute(delete(Attempt).where(in_subquery(session, c.id, chosen)).returning(c.job_id))
        assert sorted(deleted.scalars()) == [7, 8, 9]

    assert stored(c.job_id) == list(range(7))


def test_upsert_updates_the_row_of_a_conflict():
    with transaction() as session:
        for seconds in (1.0, 2.0):
            new = upsert(session, Attempt).values(attempt(id=7, seconds=seconds))
            session.execute(new.on_conflict_do_update(index_elements=["id"], set_={"seconds": new.excluded.seconds}))
            ignored = upsert(session, table(Attempt)).values(attempt(id=7, seconds=99.0))
            session.execute(ignored.on_conflict_do_nothing(index_elements=["id"]))

    assert stored(table(Attempt).c.seconds) == [2.0]


def test_a_prepared_statement_is_built_once_for_each_database():
    built: list[str] = []

    def build(session: Session) -> Select[tuple[int]]:
        built.append(session.get_bind().dialect.name)
        return select(table(Attempt).c.id)

    statement = Prepared(build)
    with reading() as session:
        for _ in range(3):
            statement(session)
        assert built == [session.get_bind().dialect.name]


def test_the_dialect_of_a_session_implements_the_protocol():
    with reading() as session:
        dialect = dialect_of(session)
    assert dialect is DIALECTS[engine().dialect.name]
    public = {name for name in vars(Dialect) if not name.startswith("_")}
    assert public == {name for name in public if callable(getattr(dialect, name, None))}


# -- what cannot be stored --------------------------------------------------------------------------------------------

UNSTORABLE = ["NUL \0 byte", "lone \ud800 surrogate"]


@on_postgresql
@pytest.mark.parametrize("text", UNSTORABLE, ids=["NUL", "surrogate"])
def test_text_that_postgresql_cannot_store_is_a_clear_error_and_stops_nothing_else(text: str):
    for refused in (NewJob("classify", text), NewJob("classify", "1", [{"deep": [text]}])):
        with pytest.raises((DataError, ValueError)):
            enqueue(NewJob("classify", "good"), refused)
        assert all_jobs() == [], "all of a call or nothing"
    with pytest.raises((DataError, ValueError)):
        insert(_ATTEMPTS, [attempt(), attempt(error=text)])

    enqueue(NewJob("classify", "good"))
    assert [job.key for job in all_jobs()] == ["good"]
    assert engine().pool.checkedout() == 0


@on_postgresql
@pytest.mark.parametrize(
    "changes",
    [{"job_id": 2**63}, {"number": 2**31}, {"actor": "x" * 81}, {"seconds": float("nan")}, {"seconds": float("inf")}],
    ids=["bigint", "int", "too long", "NaN", "infinity"],
)
def test_a_value_that_does_not_fit_is_a_clear_error_and_stops_nothing_else(changes: dict[str, Any]):
    with pytest.raises((DataError, IntegrityError, ValueError)):
        insert(_ATTEMPTS, [attempt(), attempt(**changes)])

    insert(_ATTEMPTS, [attempt()])
    assert stored(table(Attempt).c.job_id) == [1]


@on_postgresql
def test_a_value_of_a_type_that_is_no_json_is_a_clear_error():
    with pytest.raises((TypeError, StatementError), match="not JSON serializable"):
        insert(_ATTEMPTS, [attempt(error=b"bytes")])
