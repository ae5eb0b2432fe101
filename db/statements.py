"""Many rows in one statement, the fastest way each database has for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    CursorResult,
    Select,
    String,
    Table,
    any_,
    bindparam,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import NamedFromClause


def on_postgresql(session: Session) -> bool:
    """Return whether the session's database is PostgreSQL; else it is SQLite."""
    return session.get_bind().dialect.name == "postgresql"


def table(model: Any) -> Table:
    """Return the table of a model, for the statements that need no objects."""
    return cast(Table, model.__table__)


def upsert(session: Session, model: Any) -> Any:
    """Return an INSERT that knows ON CONFLICT, in the dialect of the session."""
    return (postgresql_insert if on_postgresql(session) else sqlite_insert)(model)


def unnest(session: Session, name: str) -> NamedFromClause:
    """Return a table with one text column, `value`, of the values that are bound to `name` (see `listed`)."""
    if on_postgresql(session):
        return func.unnest(bindparam(name, type_=ARRAY(String))).table_valued("value", name=name).render_derived()
    return func.json_each(bindparam(name, type_=String)).table_valued("value", name=name)


def listed(session: Session, values: Iterable[str]) -> list[str] | str:
    """Return the values as the parameter that `each_of` takes."""
    return list(values) if on_postgresql(session) else json.dumps(list(values))


def in_subquery(session: Session, column: Any, chosen: Select[Any]) -> ColumnElement[bool]:
    """Return `column IN (chosen)`, where `chosen` has a LIMIT and locks: it must run once, before anything else.

    PostgreSQL may run a plain subselect again for each row it joins, and then locks more than the limit.
    """
    subquery = chosen.scalar_subquery()
    return (
        cast("ColumnElement[bool]", column == any_(func.array(subquery)))
        if on_postgresql(session)
        else column.in_(subquery)
    )


def in_list(session: Session, column: Any, name: str) -> ColumnElement[bool]:
    """Return the condition that the column has one of the values in the list that is bound to `name` (see `Fixed`)."""
    if on_postgresql(session):
        return cast("ColumnElement[bool]", column == any_(bindparam(name, type_=ARRAY(column.type))))
    values = func.json_each(bindparam(name, type_=String)).table_valued("value")
    return cast("ColumnElement[bool]", column.in_(select(values.c.value)))


class Prepared:
    """One statement, built once for each database, for building one takes longer than running it; and prepared.

    A list of values is one parameter: see `each_of` and `one_of`.
    """

    def __init__(self, build: Callable[[Session], Any]) -> None:
        self._build = build
        self._built: dict[bool, Any] = {}

    def __call__(self, session: Session, **values: Any) -> Any:
        """Run it with the values bound to its names and return the CursorResult, whose rows no type describes."""
        postgresql = on_postgresql(session)
        if postgresql not in self._built:
            self._built[postgresql] = self._build(session).execution_options(prepared=tuple(values))
        if not postgresql:
            values = {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}
        return session.connection().execute(self._built[postgresql], values)


class _Bulk:
    """One statement for many rows, whose values it gets in one parameter on PostgreSQL, and one by one on SQLite.

    Made once, for building a statement takes longer than running it; and a VALUES list of a thousand parameters takes
    PostgreSQL longer to read than a JSON text that holds the same.
    """

    def __init__(self, types: Mapping[str, Any]) -> None:
        self._types = dict(types)
        self._postgresql: Any = None
        self._sqlite: Any = None

    def __call__(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
        """Run it for the rows, which have all the keys that were declared; there must be at least one."""
        if on_postgresql(session):
            if self._postgresql is None:
                self._postgresql = self._build_postgresql().execution_options(prepared=("new", "count"))
            values = [{name: row[name] for name in self._types} for row in rows]
            return session.connection().execute(self._postgresql, {"new": values, "count": len(values)})
        if self._sqlite is None:
            new = {name: bindparam(f"new_{name}", type_=kind) for name, kind in self._types.items()}
            self._sqlite = self._build_sqlite(new)
        values = [{f"new_{name}": row[name] for name in self._types} for row in rows]
        return session.connection().execute(self._sqlite, values)

    def _build_postgresql(self) -> Any:
        raise NotImplementedError

    def _build_sqlite(self, new: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def _record_set(self) -> Any:
        columns = [Column(name, kind) for name, kind in self._types.items()]
        new = func.jsonb_to_recordset(bindparam("new", type_=JSONB)).table_valued(*columns, name="new")
        # the limit tells the planner how many rows there are; it would take any JSON for a hundred, and read the table
        return select(*new.render_derived(with_types=True).c).limit(bindparam("count")).subquery("given")


class BulkInsert(_Bulk):
    """INSERT rows with the columns named, and those that `computed` makes of the other `inputs` (name and SQL type).

    `finish` may add to the statement, such as ON CONFLICT and RETURNING.
    """

    def __init__(
        self,
        model: Any,
        columns: Sequence[str],
        *,
        inputs: Mapping[str, Any] | None = None,
        computed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _new: {},
        finish: Callable[[Any], Any] = lambda statement: statement,
    ) -> None:
        self._target = table(model)
        super().__init__({name: self._target.c[name].type for name in columns} | dict(inputs or {}))
        self._columns, self._computed, self._finish = columns, computed, finish

    def _values(self, new: Mapping[str, Any]) -> dict[str, Any]:
        return {name: new[name] for name in self._columns} | dict(self._computed(new))

    def _build_postgresql(self) -> Any:
        new = self._record_set()
        values = self._values(dict(new.c))
        chosen = select(*[literal(each) if isinstance(each, int) else each for each in values.values()])
        return self._finish(postgresql_insert(self._target).from_select(list(values), chosen.select_from(new)))

    def _build_sqlite(self, new: Mapping[str, Any]) -> Any:
        return self._finish(sqlite_insert(self._target).values(self._values(new)))


class BulkUpdate(_Bulk):
    """UPDATE the rows whose `id` is given, to what `values` makes of the new values (name and SQL type, `id` too)."""

    def __init__(
        self, model: Any, inputs: Mapping[str, Any], values: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        super().__init__(inputs)
        self._target, self._values = table(model), values

    def _build_postgresql(self) -> Any:
        new = self._record_set()
        return update(self._target).where(self._target.c.id == new.c.id).values(dict(self._values(dict(new.c))))

    def _build_sqlite(self, new: Mapping[str, Any]) -> Any:
        return update(self._target).where(self._target.c.id == new["id"]).values(dict(self._values(new)))
