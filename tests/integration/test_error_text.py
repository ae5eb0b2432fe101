"""Errors of a real PostgreSQL show no value of rows and parameters."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from aura.error_text import error_text, format_traceback
from tests.unit.test_error_text import CANARY, POSTGRESQL, POSTGRESQL_TABLES, TABLES, WORD, Failing, failing_on, shown


@pytest.fixture
def failing(postgres_url: str) -> Iterator[Failing]:
    yield from failing_on(postgres_url)


@pytest.mark.parametrize("canary", [CANARY, WORD], ids=["text", "word"])
@pytest.mark.parametrize("name", POSTGRESQL)
def test_an_error_of_postgresql_shows_no_value(failing: Failing, name: str, canary: str) -> None:
    error = failing(POSTGRESQL[name], canary, "SET TRANSACTION READ ONLY" if name == "read only" else "")
    assert canary not in shown(error) and "4711" not in shown(error)
    assert error.orig.pgcode in error_text(error)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", POSTGRESQL)
def test_an_error_of_the_driver_alone_shows_no_value_in_its_text(postgres_url: str, name: str) -> None:
    connection = psycopg2.connect(postgres_url.replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            for statement in (*TABLES, *POSTGRESQL_TABLES):
                cursor.execute(statement.replace("%%", "%"))
            if name == "read only":
                connection.commit()
                cursor.execute("SET TRANSACTION READ ONLY")
            with pytest.raises(psycopg2.Error) as error:
                cursor.execute(POSTGRESQL[name].replace(":canary", "%(v)s"), {"v": CANARY})
    finally:
        connection.close()
    assert "4711" not in error_text(error.value) + format_traceback(error.value)
