"""Which errors mean that the database cannot be used now, and which that a connection is of no use."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2.errors
import pytest
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError, TimeoutError

from db.unavailable import Failures, is_full, is_lost, is_unavailable, sqlstate


def _error(state: str) -> Exception:
    class Stated(psycopg2.errors.lookup("25006") if state == "25006" else psycopg2.Error):  # type: ignore[misc]
        pgcode = state

    return Stated("refused")


@pytest.mark.parametrize("state", ["25006", "57P01", "57P02", "57P03", "57P05", "08006", "08P01", "25P03"])
def test_a_lost_or_read_only_session_is_of_no_use_and_the_database_unavailable(state: str):
    error = InternalError("INSERT", {}, _error(state))

    assert (sqlstate(error), is_lost(error), is_lost(error.orig), is_unavailable(error)) == (state, True, True, True)


@pytest.mark.parametrize("state", ["57014", "23505", "22P02", "40001", "26000", ""])
def test_another_error_leaves_the_session(state: str):
    assert not is_lost(_error(state))


def test_an_invalid_value_is_no_unavailable_database():
    assert not is_unavailable(IntegrityError("INSERT", {}, _error("23505")))
    assert not is_unavailable(ValueError("unrelated"))
    assert is_unavailable(OperationalError("INSERT", {}, _error("53100")))
    assert is_unavailable(TimeoutError("no free connection"))


def test_a_full_disk_is_noted_on_both_databases(tmp_path: Path):
    failures = Failures()
    failures.note(_error("23505"))
    assert not failures.full_within(60)
    failures.note(OperationalError("INSERT", {}, _error("53100")))
    assert failures.full_within(60)

    with sqlite3.connect(tmp_path / "small.db") as connection:
        connection.execute("PRAGMA max_page_count = 4")
        connection.execute("CREATE TABLE t (filler)")
        with pytest.raises(sqlite3.OperationalError) as error:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()
    assert is_full(error.value)
