"""Statements that PostgreSQL and SQLite write differently: arrays as parameters, upserts, many rows at once.

`postgresql.py` and `sqlite.py` implement the protocol `Dialect`; the functions here call the one of the session's database.
A `Prepared`, `BulkInsert` or `BulkUpdate` is a module constant: SQLAlchemy builds it once for each database, which takes
longer than running it, and PostgreSQL prepares it once for each connection (see `db.database`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import ColumnElement, Executable, Select, Table
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import NamedFromClause

from db.models.base import Base
from db.statements import postgresql, sqlite
from db.statements.protocol import ColumnValues, Dialect, Insert, NewRow, Row, Rows, SqlColumn, SqlType, Types, Unless

#: The implementations by SQLAlchemy's name of the database.
DIALECTS: dict[str, Dialect] = {"postgresql": postgresql, "sqlite": sqlite}

#: Returns SQLAlchemy's name of the session's database: postgresql or sqlite.
dialect_name: Callable[[Session], str] = attrgetter("bind.dialect.name")


def dialect_of(session: Session) -> Dialect:
    """Return the implementation for the session's database."""
    return DIALECTS[dialect_name(session)]


def on_postgresql(session: Session) -> bool:
    """Return whether the session's database is PostgreSQL; otherwise it is SQLite."""
    return dialect_name(session) == "postgresql"


def table(model: type[Base]) -> Table:
    """Return the table of a model, for statements that load no objects."""
    return cast("Table", model.__table__)


def upsert(session: Session, target: type[Base] | Table) -> Insert:
    """Return an INSERT with the ON CONFLICT clause of the session's database."""
    return dialect_of(session).insert(target if isinstance(target, Table) else table(target))


def unnest(session: Session, name: str) -> NamedFromClause:
    """Return a table with one text column, `value`, of the array that is bound to `name` (see `text_array`)."""
    return dialect_of(session).unnest(name)


def text_array(session: Session, values: Iterable[str]) -> object:
    """Return the parameter of `unnest` or `in_list` for these values; a `Prepared` converts a list by itself."""
    return dialect_of(session).array(list(values))


def in_subquery(session: Session, column: SqlColumn, chosen: Select[Any]) -> ColumnElement[bool]:
    """Return `column IN (chosen)` for a SELECT with a LIMIT or locks, which runs exactly once."""
    return dialect_of(session).in_subquery(column, chosen)


def in_list(session: Session, column: SqlColumn, name: str) -> ColumnElement[bool]:
    """Return the condition that the column has a value of the array that is bound to `name` (see `text_array`)."""
    return dialect_of(session).in_list(column, name)


class Prepared:
    """A statement that `build` makes for the session's database; a list of values is one parameter."""

    def __init__(self, build: Callable[[Session], Executable]) -> None:
        self._build = build
        self._built: dict[str, Executable] = {}

    def __call__(self, session: Session, **parameters: object) -> Rows:
        """Execute it with the values of its parameters."""
        connection = session.connection()
        name = connection.dialect.name
        statement = self._built.get(name)
        if statement is None:
            statement = self._build(session).execution_options(prepared=tuple(parameters))
            self._built[name] = statement
        array = DIALECTS[name].array
        values = {key: array(value) if isinstance(value, list) else value for key, value in parameters.items()}
        return connection.execute(statement, values)


class _Bulk:
    """A statement for many rows; `types` names the values of each row."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._built: dict[str, Executable] = {}

    def __call__(self, session: Session, rows: Sequence[Row]) -> Rows:
        """Execute it for one row or more, each with a value for every name in `types`."""
        connection = session.connection()
        name = connection.dialect.name
        dialect = DIALECTS[name]
        statement = self._built.get(name)
        if statement is None:
            statement = self._built[name] = self._build(dialect)
        return connection.execute(statement, dialect.bulk_parameters(self._types, rows))

    def _build(self, dialect: Dialect) -> Executable:
        raise NotImplementedError


class BulkInsert(_Bulk):
    """INSERT of many rows: the `columns` by name, and those that `computed` makes of them and of the `inputs`.

    `finish` adds clauses such as ON CONFLICT and RETURNING. On PostgreSQL, a row for which `unless` holds is left out.
    """

    def __init__(
        self,
        model: type[Base],
        columns: Sequence[str],
        *,
        inputs: Types | None = None,
        computed: ColumnValues = lambda _new: {},
        finish: Callable[[Insert], Executable] = lambda insert: insert,
        unless: Unless | None = None,
    ) -> None:
        self._target = table(model)
        super().__init__({**{name: self._target.c[name].type for name in columns}, **(inputs or {})})
        self._columns, self._computed, self._finish, self._unless = columns, computed, finish, unless

    def _build(self, dialect: Dialect) -> Executable:
        return self._finish(dialect.bulk_insert(self._target, self._types, self._values, self._unless))

    def _values(self, new: NewRow) -> Mapping[str, object]:
        return {**{name: new[name] for name in self._columns}, **self._computed(new)}


class BulkUpdate(_Bulk):
    """UPDATE of many rows, each found by its `id`, to what `values` makes of the `inputs` of the row."""

    def __init__(self, model: type[Base], inputs: Types, values: ColumnValues) -> None:
        super().__init__(inputs)
        self._target, self._values = table(model), values

    def _build(self, dialect: Dialect) -> Executable:
        return dialect.bulk_update(self._target, self._types, self._values)


__all__ = [
    "DIALECTS",
    "BulkInsert",
    "BulkUpdate",
    "Dialect",
    "Insert",
    "NewRow",
    "Prepared",
    "SqlType",
    "Unless",
    "dialect_name",
    "dialect_of",
    "in_list",
    "in_subquery",
    "on_postgresql",
    "table",
    "text_array",
    "unnest",
    "upsert",
]
