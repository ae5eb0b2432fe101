"""Texts of exceptions: no value of a row, a statement or a message remains; names that help remain."""

from __future__ import annotations

import json
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pydantic
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from aura.error_text import (
    database_text,
    error_text,
    flattened,
    format_traceback,
    library_text,
    mask_addresses,
    stacks,
)
from aura.errors import InvalidInput, JobError
from db.database import make_engine
from tests.growth import MOST, growth

CANARY = 'Canary\'s "secret" 4711: (x)=(y)'
WORD = "kanarienvogel"


def caught(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def raised(error: BaseException) -> None:
    raise error


Failing = Callable[..., SQLAlchemyError]


class Model(pydantic.BaseModel):
    number: int


PYTHON_ERRORS: dict[str, Callable[[], Any]] = {
    "int": lambda: int(WORD),
    "float": lambda: float(WORD),
    "key": lambda: {}[WORD],
    "index": lambda: [].index(WORD),
    "json": lambda: json.loads(WORD),
    "unicode": lambda: (WORD + "\ud800").encode(),
    "decode": lambda: (WORD.encode() + b"\xff").decode(),
    "pydantic": lambda: Model(number=WORD),  # type: ignore[arg-type]
    "attribute": lambda: WORD.nothing,
    "format": lambda: format(WORD, "d"),
    "date": lambda: __import__("datetime").date.fromisoformat(WORD),
    "bytes": lambda: raised(ValueError(f"invalid literal {WORD.encode()!r}")),
    "group": lambda: raised(ExceptionGroup("many", [ValueError(f"no {WORD!r}"), KeyError(WORD)])),
    "open quote": lambda: raised(RuntimeError(f"unterminated '{WORD}")),
    "free text": lambda: raised(RuntimeError(WORD)),
    "empty": lambda: raised(RuntimeError("")),
    "note": lambda: raised(with_note(ValueError("x"), WORD)),
    "smtp": lambda: raised(__import__("smtplib").SMTPDataError(550, f"<{WORD}@example.com> refused".encode())),
}


def with_note(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error


@pytest.mark.parametrize("name", PYTHON_ERRORS)
def test_an_exception_of_python_shows_no_value(name: str) -> None:
    error = caught(PYTHON_ERRORS[name])
    outputs = [error_text(error), format_traceback(error), json.dumps(stacks(error))]
    assert [each for each in outputs if WORD in each] == []
    assert type(error).__name__ in format_traceback(error)


@pytest.mark.parametrize("name", ["int", "key", "pydantic", "bytes", "group", "note", "smtp"])
def test_python_itself_shows_the_value(name: str) -> None:
    assert WORD in "".join(traceback.format_exception(caught(PYTHON_ERRORS[name])))


def test_a_chain_shows_each_exception_and_no_value() -> None:
    def outer() -> None:
        try:
            int(WORD)
        except ValueError as error:
            raise KeyError(WORD) from error

    error = caught(outer)
    assert [type(each) for each in flattened(error)] == [KeyError, ValueError]
    assert [each["exc_type"] for each in stacks(error)] == ["KeyError", "ValueError"]
    assert "ValueError: invalid literal for int() with base 10" in format_traceback(error)
    error.__cause__.__cause__ = error  # type: ignore[union-attr]
    assert len(stacks(error)) == 2, "a chain that is a circle ends"


def test_a_constant_of_the_code_stays() -> None:
    def fail() -> None:
        raise RuntimeError("the engine is broken")

    assert error_text(caught(fail)) == "the engine is broken"


def test_the_message_of_an_own_error_stays_without_the_quote_of_another_server() -> None:
    assert error_text(InvalidInput("queue 'x' does not exist")) == "queue 'x' does not exist"
    error = JobError(f"endpoint crm answered 400: {CANARY}")
    error.quoted = CANARY
    assert error_text(error) == "endpoint crm answered 400: [...]"


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        "ada.o'hara+x@sub.example.co.uk",
        '"a,b"@example.com',
        "ünal@exämple.de",
        "root@localhost",
        "a_b@x.y",
    ],
)
@pytest.mark.parametrize("around", ["{}", "<{}>", "550 {}: unknown", "mailto:{}", "['{}']", "x={},"])
def test_an_address_is_masked(address: str, around: str) -> None:
    text = mask_addresses(around.format(address))
    assert "[address]" in text
    assert "example" not in text and "localhost" not in text and "x.y" not in text


@pytest.mark.parametrize(
    "url", ["amqp://aura:***@mq:5672/", "postgresql+psycopg2://aura@db.example.com/aura", "a @ b", "@home"]
)
def test_the_user_of_a_url_stays(url: str) -> None:
    assert mask_addresses(url) == url


def test_the_message_of_a_library_is_one_line_without_quotes() -> None:
    message = f"Task exception was never retrieved\nfuture: <Task exception=ValueError({WORD!r})>"
    assert library_text(message) == "Task exception was never retrieved"
    assert library_text(f"ignoring 'x' and {CANARY!r}") == "ignoring [...]"


@pytest.mark.parametrize("pattern", ["a", "a@", "'", "://", '"', "a.", "@", '"a'])
def test_long_texts_take_linear_time(pattern: str) -> None:
    # the callers cut texts, and this is not the only thing that bounds the time
    assert growth(lambda text: (mask_addresses(text + "@"), library_text(text)), pattern * 8_000) < MOST


# Databases

STATEMENTS = {
    "unique": "INSERT INTO t (id, v) VALUES (1, :canary), (1, :canary)",
    "unique text": "INSERT INTO u (v) VALUES (:canary), (:canary)",
    "not null": "INSERT INTO t (id, v, w) VALUES (2, :canary, NULL)",
    "check": "INSERT INTO t (id, v, n) VALUES (3, :canary, -1)",
    "foreign key": "INSERT INTO child (parent, v) VALUES (99, :canary)",
    "no table": "SELECT :canary FROM nowhere",
}
POSTGRESQL = {
    "number": "SELECT CAST(:canary AS integer)",
    "date": "SELECT CAST(:canary AS date)",
    "json": "SELECT CAST(:canary AS json)",
    "tsquery": "SELECT to_tsquery(:canary || ' :::')",
    "regex": "SELECT 'x' ~ ('(' || :canary)",
    "too long": "INSERT INTO short (v) VALUES (:canary)",
    "raise": "SELECT fail(:canary)",
    "array": "SELECT CAST(:canary AS integer[])",
    "uuid": "SELECT CAST(:canary AS uuid)",
    "enum": "SELECT CAST(:canary AS colour)",
    "read only": "INSERT INTO t (id, v) VALUES (7, :canary)",
    "sequence": "SELECT nextval(:canary)",
}
TABLES = (
    "CREATE TABLE t (id integer PRIMARY KEY NOT NULL, v text, "
    "w text NOT NULL DEFAULT 'w', n integer CONSTRAINT positive CHECK (n > 0))",
    "CREATE TABLE u (v text CONSTRAINT once UNIQUE)",
    "CREATE TABLE child (parent integer REFERENCES t (id), v text)",
)
POSTGRESQL_TABLES = (
    "CREATE TABLE short (v varchar(5))",
    "CREATE TYPE colour AS ENUM ('good')",
    "CREATE FUNCTION fail(v text) RETURNS int LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'row %%', v USING DETAIL = v, HINT = v; END $$",
)


def failing_on(url: str) -> Iterator[Failing]:
    """Yield a function that executes a statement, after others, and returns its error."""
    engine = make_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        for statement in (*TABLES, *(POSTGRESQL_TABLES if engine.dialect.name == "postgresql" else ())):
            connection.exec_driver_sql(statement)

    def execute(statement: str, canary: str, before: str) -> None:
        with engine.begin() as connection:
            if before:
                connection.execute(text(before))
            connection.execute(text(statement), {"canary": canary})

    def failing(statement: str, canary: str, before: str = "") -> SQLAlchemyError:
        with pytest.raises(SQLAlchemyError) as error:
            execute(statement, canary, before)
        return error.value

    yield failing
    engine.dispose()


@pytest.fixture
def failing(database_url: str) -> Iterator[Failing]:
    yield from failing_on(database_url)


def shown(error: BaseException) -> str:
    found: BaseException | None = error
    while found is not None:
        found = found.__cause__ or found.__context__
    everything = [error_text(error), str(error), repr(error), format_traceback(error), json.dumps(stacks(error))]
    return "\n".join(line for line in "\n".join(everything).splitlines() if "canary" not in line or "^" in line)


@pytest.mark.parametrize("canary", [CANARY, WORD], ids=["text", "word"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_an_error_of_a_database_shows_no_value(failing: Failing, name: str, canary: str) -> None:
    error = failing(STATEMENTS[name], canary)
    assert canary not in shown(error) and "4711" not in shown(error)
    assert error_text(error).startswith("(")


def test_constraints_and_tables_stay(failing: Failing) -> None:
    assert "positive" in error_text(failing(STATEMENTS["check"], WORD))
    assert "nowhere" in error_text(failing(STATEMENTS["no table"], WORD))


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError(f"no such column: {WORD}"),
        sqlite3.OperationalError(f'fts5: syntax error near "{WORD}"'),
        sqlite3.OperationalError(f"no such table: {WORD} {WORD}"),
        sqlite3.IntegrityError(f"CHECK constraint failed: {WORD} = '{WORD}'"),
    ],
)
def test_a_search_in_sqlite_is_not_repeated(error: sqlite3.Error) -> None:
    assert WORD not in str(database_text(error))
