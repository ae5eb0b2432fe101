"""The interface that one module per database implements: SQL that PostgreSQL and SQLite write differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import ColumnElement, CursorResult, Select, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.dml import Update
from sqlalchemy.sql.selectable import NamedFromClause
from sqlalchemy.types import TypeEngine

#: An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`.
Insert: TypeAlias = postgresql.Insert | sqlite.Insert
SqlColumn: TypeAlias = ColumnElement[Any] | QueryableAttribute[Any]
SqlType: TypeAlias = TypeEngine[Any] | type[TypeEngine[Any]]
#: Name and SQL type of each value of a row.
Types: TypeAlias = Mapping[str, SqlType]
Row: TypeAlias = Mapping[str, object]
#: The new values of a row by name, as SQL expressions, and the values of the columns that are made of them.
NewRow: TypeAlias = Mapping[str, ColumnElement[Any]]
ColumnValues: TypeAlias = Callable[[NewRow], Mapping[str, object]]
#: The condition under which a row is not inserted.
Unless: TypeAlias = Callable[[NewRow], ColumnElement[bool]]
#: The result of a statement whose columns no type describes.
Rows: TypeAlias = CursorResult[*tuple[Any, ...]]
#: One row of parameters, or one for each row (`executemany`).
Parameters: TypeAlias = dict[str, object] | list[dict[str, object]]


class Dialect(Protocol):
    """SQL of one database. `tests/unit/db/statements/test_conformance.py` runs on every implementation."""

    def insert(self, target: Table, /) -> Insert:
        """Return an INSERT with the ON CONFLICT clause of the database."""

    def unnest(self, name: str) -> NamedFromClause:
        """Return a table with one text column, `value`, of the array that is bound to `name`."""

    def in_list(self, column: SqlColumn, name: str) -> ColumnElement[bool]:
        """Return the condition that the column has a value of the array that is bound to `name`."""

    def in_subquery(self, column: SqlColumn, chosen: Select[Any]) -> ColumnElement[bool]:
        """Return the condition that the column has a value that `chosen` returns; `chosen` runs exactly once."""

    def array(self, values: list[object], /) -> list[object] | str:
        """Return the parameter for an array with these values."""

    def bulk_insert(self, target: Table, types: Types, values: ColumnValues, unless: Unless | None = None) -> Insert:
        """Return an INSERT for many rows with the columns that `values` makes of each.

        A row for which `unless` holds is left out; SQLite, which runs the statement once for each row, ignores it.
        """

    def bulk_update(self, target: Table, types: Types, values: ColumnValues) -> Update:
        """Return an UPDATE for many rows, each found by its `id`."""

    def bulk_parameters(self, types: Types, rows: Sequence[Row]) -> Parameters:
        """Return the rows as parameters of a bulk statement."""
