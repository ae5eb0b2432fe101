"""Time of the database as SQL expressions, so that the clocks of machines do not matter.

`UtcDateTime` is an aware UTC datetime in Python, `timestamptz` on PostgreSQL, and text with microseconds on SQLite, which
sorts by time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Float, literal
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime for the database must be aware (datetime.now(UTC))")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class now(FunctionElement[datetime]):
    """The time at the start of the statement (a stable function, so indexes can be used)."""

    type = UtcDateTime()
    inherit_cache = True


class from_now(FunctionElement[datetime]):
    """`now()` plus a number of seconds, which may be negative or fractional."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: Any) -> None:
        super().__init__(literal(seconds, Float) if isinstance(seconds, int | float) else seconds)


class after(FunctionElement[datetime]):
    """A timestamp plus a number of seconds."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, moment: Any, seconds: float) -> None:
        super().__init__(moment, literal(seconds, Float))


class elapsed(FunctionElement[float]):
    """The seconds from a timestamp until `now()`."""

    type = Float()
    inherit_cache = True


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: Any, **kw: Any) -> str:
    return "statement_timestamp()"


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **kw: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(from_now, "postgresql")
def _from_now_postgresql(element: from_now, compiler: Any, **kw: Any) -> str:
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)}))"


@compiles(from_now, "sqlite")
def _from_now_sqlite(element: from_now, compiler: Any, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', {seconds})) || '000')"


@compiles(after, "postgresql")
def _after_postgresql(element: after, compiler: Any, **kw: Any) -> str:
    moment, seconds = (compiler.process(each, **kw) for each in element.clauses)
    return f"({moment} + make_interval(secs => {seconds}))"


@compiles(after, "sqlite")
def _after_sqlite(element: after, compiler: Any, **kw: Any) -> str:
    moment, seconds = (compiler.process(each, **kw) for each in element.clauses)
    return f"(strftime('%Y-%m-%d %H:%M:%f', {moment}, printf('%+.3f seconds', {seconds})) || '000')"


@compiles(elapsed, "postgresql")
def _elapsed_postgresql(element: elapsed, compiler: Any, **kw: Any) -> str:
    return f"extract(epoch FROM statement_timestamp() - {compiler.process(element.clauses, **kw)})::float8"


@compiles(elapsed, "sqlite")
def _elapsed_sqlite(element: elapsed, compiler: Any, **kw: Any) -> str:
    # SQLite's clock has milliseconds; further digits of a difference are rounding errors
    return f"round((julianday('now') - julianday({compiler.process(element.clauses, **kw)})) * 86400.0, 3)"
