"""SQLite: arrays are JSON text, and a statement for many rows runs once for each (`executemany`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, String, Table, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.dialects.sqlite import insert as insert
from sqlalchemy.sql.dml import Update
from sqlalchemy.sql.selectable import NamedFromClause, TableValuedAlias

from db.statements.protocol import ColumnValues, NewRow, Row, SqlColumn, Types, Unless

#: Converts a list to the parameter of an array.
array = json.dumps


def unnest(name: str) -> NamedFromClause:
    return _json_each(name, name)


def in_list(column: SqlColumn, name: str) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", column.in_(select(_json_each(name).c.value)))


def in_subquery(column: SqlColumn, chosen: Select[Any]) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", column.in_(chosen.scalar_subquery()))


def bulk_insert(target: Table, types: Types, values: ColumnValues, unless: Unless | None = None) -> Insert:
    # RETURNING of many rows needs VALUES, which have no condition
    return insert(target).values(dict(values(_parameters(types))))


def bulk_update(target: Table, types: Types, values: ColumnValues) -> Update:
    new = _parameters(types)
    return update(target).where(target.c.id == new["id"]).values(dict(values(new)))


def bulk_parameters(types: Types, rows: Sequence[Row]) -> list[dict[str, object]]:
    return [{f"new_{name}": row[name] for name in types} for row in rows]


def _json_each(name: str, alias: str | None = None) -> TableValuedAlias:
    return func.json_each(bindparam(name, type_=String)).table_valued("value", name=alias)


def _parameters(types: Types) -> NewRow:
    # a name of its own: SQLAlchemy reserves the names of the columns
    return {name: bindparam(f"new_{name}", type_=kind) for name, kind in types.items()}
