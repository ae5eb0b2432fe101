"""The engine for PostgreSQL: several hosts, prepared statements, and connections that are discarded when they are of no use.

Nothing of Aura's is sent in the start-up packet, where PgBouncer up to 1.19 refuses `options`: a new connection sends its
parameters as statements. `options` of DATABASE_URL are the user's own, and are sent as they are.
"""

from __future__ import annotations

import hashlib
import json
import select
import threading
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import orjson
import psycopg2
from psycopg2.extensions import AsIs
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DisconnectionError

from aura.database_url import DatabaseUrl, session_parameters
from db import pooler
from db.idle_pool import IdlePool
from db.unavailable import is_lost

#: Timeouts of libpq in seconds (`tcp_user_timeout`: milliseconds), so that an unreachable host does not block a thread.
TIMEOUTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
#: A prepared statement is planned once, maybe before its table grows, so its plan must not be a sequential scan. Disabling
#: these raises the estimated cost of statements that need one, which JIT would then compile for a tenth of a second.
PLANNER = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
#: Idle seconds of a PostgreSQL connection after which a checkout polls its socket, which shows that the server closed it,
#: and after which it pings the server.
POLL_AFTER_SECONDS, PING_AFTER_SECONDS = 0.02, 5.0

#: SQLSTATE of a lock timeout.
LOCK_NOT_AVAILABLE = "55P03"
#: Called with each new connection, in autocommit mode, before anything else uses it.
NewConnection = Callable[[Any], None]


class Discards:
    """Counts the times that connections of this process were discarded, for those who hold one outside the pool."""

    def __init__(self) -> None:
        self.count = 0


discards = Discards()
#: The mode of the pooler of each engine, as far as it is known.
_modes: WeakKeyDictionary[Engine, pooler.Mode] = WeakKeyDictionary()


def pooler_mode(engine: Engine) -> pooler.Mode:
    """Return the mode of the pooler that the engine's connections found; none before the first connection."""
    return _modes.get(engine, "none")


def make_engine(url: DatabaseUrl, pool: int, prepare: bool, patience: float, new_connection: NewConnection) -> Engine:
    """Return an engine. `patience` is how many seconds a caller waits for a connection of the pool."""
    engine = create_engine(
        _first_host(url),  # the arguments below override it
        poolclass=IdlePool,
        pool_size=pool,
        max_overflow=0,
        hide_parameters=True,  # they are texts of tickets
        pool_timeout=patience,
        pool_use_lifo=True,  # the connection used last is the least likely to be stale
        json_serializer=_to_json,
        use_native_hstore=False,  # saves a transaction for each connection
        connect_args={"application_name": "aura", **TIMEOUTS, **url.arguments()},
    )
    if len(url.hosts) > 1:
        _try_each_host(engine, url)
    _set_up_connections(engine, url, prepare, new_connection)
    _discard_connections(engine)
    if prepare:
        _prepare_statements(engine, url.options)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # reads need no BEGIN and ROLLBACK, two round trips; SQLAlchemy's AUTOCOMMIT costs two others
        raw: Any = connection.connection.dbapi_connection
        options = connection.get_execution_options()
        raw.autocommit = options.get("reads", False) or options.get("isolation_level") == "AUTOCOMMIT"

    return engine


def _first_host(url: DatabaseUrl) -> URL:
    host, port = url.hosts[0]
    login = {"username": url.user or None, "password": url.password or None}
    place = {"host": host or None, "port": int(port) if port else None, "database": url.name or None}
    return URL.create("postgresql+psycopg2", **login, **place)  # type: ignore[arg-type]


def _try_each_host(engine: Engine, url: DatabaseUrl) -> None:
    """Let a host that accepts a connection and closes it, as a balancer without a server does, stop nobody.

    libpq tries the next host only if the network refuses a connection or the server cannot write.
    """

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> Any:
        started = time.monotonic()
        try:
            return psycopg2.connect(**parameters)
        except psycopg2.OperationalError as error:
            failure = error
        for host, port in url.hosts[1:]:
            if time.monotonic() - started > TIMEOUTS["connect_timeout"]:
                break  # libpq has waited for hosts that do not answer
            alone = {**parameters, "host": host, "port": port or "5432"}
            try:
                return psycopg2.connect(**alone)
            except psycopg2.OperationalError as error:
                failure = error
        raise failure


def _set_up_connections(engine: Engine, url: DatabaseUrl, prepare: bool, new_connection: NewConnection) -> None:
    wanted = {"timezone": "UTC"} | (PLANNER if prepare else {})
    own = session_parameters(url.options)
    statements = [f"SET {name} = '{value}'" for name, value in wanted.items() if name not in own]
    setup = "; ".join([*statements, "SELECT pg_backend_pid()"])
    finding = threading.Lock()

    # before the first transaction, which SQLAlchemy runs on the first connection
    @event.listens_for(engine, "connect", insert=True)
    def _set_up(raw: Any, _record: Any) -> None:
        raw.autocommit = True
        with raw.cursor() as cursor:
            cursor.execute(setup)
            pid = cursor.fetchone()[0]
        if pooler.has_pooler(raw, pid):
            with finding:
                if (mode := _modes.get(engine)) is None:
                    arguments: dict[str, Any] = {"application_name": "aura", **TIMEOUTS, **url.arguments()}
                    mode = _modes[engine] = pooler.find_mode(raw, lambda: psycopg2.connect(**arguments))
            try:
                pooler.check(mode, prepare)
            except pooler.WrongPoolerMode:
                _modes.pop(engine, None)  # the pooler may be reconfigured meanwhile
                raw.close()
                raise
        new_connection(raw)
        raw.autocommit = False


def _discard_connections(engine: Engine) -> None:
    @event.listens_for(engine, "checkin")
    def _used(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: Any, _proxy: Any) -> None:
        # pool_pre_ping would ping at each checkout, a fifth of the waiting time of a busy worker
        idle = time.monotonic() - record.info.get("used", time.monotonic())
        if idle > PING_AFTER_SECONDS or (idle > POLL_AFTER_SECONDS and _readable(connection)):
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                discards.count += 1
                raise DisconnectionError("the server closed the connection") from error

    @event.listens_for(engine, "handle_error")
    def _discard(context: ExceptionContext) -> None:
        # a session that became read-only is like a closed one: the pool would give it to the next caller without end
        if is_lost(context.original_exception):
            context.is_disconnect = True
        if context.is_disconnect:
            discards.count += 1


def _readable(connection: Any) -> bool:
    # without a pending request, data means that the server closed the connection or announces it
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _prepare_statements(engine: Engine, options: str) -> None:
    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _prepare(
        connection: Connection, cursor: Any, statement: str, values: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        # parsing and planning a short statement takes longer than running it, and psycopg2 prepares none
        names: tuple[str, ...] | None = context.execution_options.get("prepared")
        if names is None:
            return statement, values
        prepared: dict[str, str] = connection.info.setdefault("prepared", {})
        if statement not in prepared:
            # a number that an interrupt loses is not used again
            name = f"{statement_name(statement, options)}_{next(connection.info.setdefault('numbers', count()))}"
            # other parameters are constants of the statement
            placeholders = {each: AsIs(f"${at}") for at, each in enumerate(names, 1)}
            cursor.execute(f"PREPARE {name} AS {statement}", {**values, **placeholders})
            prepared[statement] = f"EXECUTE {name}" + (
                f" ({', '.join(f'%({each})s' for each in names)})" if names else ""
            )
        return prepared[statement], values


def statement_name(statement: str, options: str = "") -> str:
    """Return a name that no other statement has, in no process and under no `options` of the session.

    So a connection that a pooler shares between programs never runs the statement of another one.
    """
    return "aura_" + hashlib.sha256(f"{options}\0{statement}".encode()).hexdigest()[:32]


def _to_json(value: Any) -> str:
    # for bulk statements: orjson is seven times as fast as json, and turns NaN into null
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # PostgreSQL accepts larger integers, and reports invalid text itself
        return json.dumps(value, default=_isoformat)


def _isoformat(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")
