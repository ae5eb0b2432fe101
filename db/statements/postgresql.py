"""PostgreSQL: arrays are parameters, and many rows are one JSON parameter.

A VALUES list of a thousand parameters takes PostgreSQL longer to parse than a JSON document with the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Select,
    String,
    Subquery,
    Table,
    any_,
    bindparam,
    func,
    literal,
    not_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert
from sqlalchemy.dialects.postgresql import insert as insert
from sqlalchemy.sql.dml import Update
from sqlalchemy.sql.selectable import NamedFromClause

from db.statements.protocol import ColumnValues, Row, SqlColumn, Types, Unless

#: The parameters of a bulk statement, in the order of PREPARE.
BULK = ("rows", "count")


def unnest(name: str) -> NamedFromClause:
    return func.unnest(bindparam(name, type_=ARRAY(String))).table_valued("value", name=name).render_derived()


def in_list(column: SqlColumn, name: str) -> ColumnElement[bool]:
    return _equals_any(column, bindparam(name, type_=ARRAY(column.type)))


def in_subquery(column: SqlColumn, chosen: Select[Any]) -> ColumnElement[bool]:
    # PostgreSQL may run a plain subselect once for each joined row, and then locks more rows than its LIMIT
    return _equals_any(column, func.array(chosen.scalar_subquery()))


def array(values: list[object], /) -> list[object]:
    return list(values)


def bulk_insert(target: Table, types: Types, values: ColumnValues, unless: Unless | None = None) -> Insert:
    rows = _record_set(types)
    columns = values(dict(rows.c))
    chosen = select(*[literal(each) if isinstance(each, int) else cast("Any", each) for each in columns.values()])
    chosen = chosen.select_from(rows)
    if unless is not None:
        chosen = chosen.where(not_(unless(dict(rows.c))))
    statement = insert(target).from_select(list(columns), chosen)
    return statement.execution_options(prepared=BULK)


def bulk_update(target: Table, types: Types, values: ColumnValues) -> Update:
    rows = _record_set(types)
    statement = update(target).where(target.c.id == rows.c.id).values(dict(values(dict(rows.c))))
    return statement.execution_options(prepared=BULK)


def bulk_parameters(types: Types, rows: Sequence[Row]) -> dict[str, object]:
    return {"rows": [{name: row[name] for name in types} for row in rows], "count": len(rows)}


def _equals_any(column: SqlColumn, values: ColumnElement[Any]) -> ColumnElement[bool]:
    return column == any_(values)


def _record_set(types: Types) -> Subquery:
    columns = [Column(name, kind) for name, kind in types.items()]
    rows = func.jsonb_to_recordset(bindparam("rows", type_=JSONB)).table_valued(*columns, name="record_set")
    # the planner estimates 100 rows for any JSON, and then scans the whole table; the LIMIT tells it how many there are
    return select(*rows.render_derived(with_types=True).c).limit(bindparam("count")).subquery("new_rows")
