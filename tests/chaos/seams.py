"""Where failpoints are: at the seams between the programs and the world, so that no line of Aura knows of them.

The SQL identifies a transaction, the AMQP frame a hint, the call of smtplib a mail, and the call of http.client a
message to an endpoint, so a change of Aura's code moves no point. Runs inside the programs; see `site/sitecustomize.py`.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.chaos.failpoints import reach, taste

#: Changes a module that was just imported.
Hook = Callable[[Any], None]

#: The step that a statement makes of its transaction; of several the first of this list.
#: `begin` is reached before the statement, `before` and `after` surround the commit.
TRANSACTIONS = (
    ("complete", re.compile(r"\bDELETE\s+FROM\s+jobs\b", re.I)),
    ("claim", re.compile(r"\bUPDATE\s+jobs\b.*\battempts\s*\+", re.I | re.S)),
    ("hint", re.compile(r"\bUPDATE\s+jobs\b.*\bhinted_at\s*=\s*\(?\w+\(", re.I | re.S)),
    ("enqueue", re.compile(r"\bINSERT\s+INTO\s+jobs\b", re.I)),
)

#: The name of a statement that is prepared, and of one that was and is run.
PREPARE, EXECUTE = re.compile(r"PREPARE (\w+) AS "), re.compile(r"EXECUTE (\w+)")

#: Characters of a statement that are looked at: many rows make it long.
STATEMENT_LIMIT = 10_000


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls a hook with a module right after it was imported."""

    def __init__(self, hooks: Mapping[str, Iterable[Hook]]) -> None:
        self._hooks = {name: list(each) for name, each in hooks.items()}

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        hooks = self._hooks.pop(name, None)
        if hooks is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            for hook in hooks:
                hook(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install(folder: Path, more: Mapping[str, Iterable[Hook]]) -> None:
    """Wrap the seams of this process as its modules are imported, and call more hooks."""
    hooks: dict[str, list[Hook]] = {name: list(each) for name, each in more.items()}
    for name, hook in (
        ("psycopg2", _database),
        ("pika.channel", _rabbitmq),
        ("dramatiq.actor", _work),
        ("smtplib", _mail),
        ("http.client", _post),
    ):
        hooks.setdefault(name, []).append(partial(hook, folder))
    sys.meta_path.insert(0, AfterImport(hooks))


def _database(folder: Path, psycopg2: Any) -> None:
    def away() -> BaseException:
        error: BaseException = psycopg2.OperationalError("chaos: server closed the connection unexpectedly")
        return error

    class Cursor(psycopg2.extensions.cursor):  # type: ignore[misc]
        def execute(self, statement: Any, values: Any = None) -> Any:
            self._about_to(statement)
            if not self.connection.autocommit:
                return super().execute(statement, values)
            with self.connection.committing():
                return super().execute(statement, values)

        def executemany(self, statement: Any, values: Any) -> Any:
            self._about_to(statement)
            return super().executemany(statement, values)

        def copy_expert(self, statement: Any, *arguments: Any, **more: Any) -> Any:
            self._about_to(statement)
            return super().copy_expert(statement, *arguments, **more)

        def _about_to(self, statement: Any) -> None:
            step = _step(statement)
            if prepared := PREPARE.match(str(statement)):
                self.connection.chaos_prepared[prepared[1]] = step
                return  # nothing happens yet
            if prepared := EXECUTE.match(str(statement)):
                step = self.connection.chaos_prepared[prepared[1]]
            if step and step != self.connection.chaos_step:
                reach(folder, f"{step}.begin", away)
            # of several, the one that comes first in the list: the transaction of a completion also enqueues
            self.connection.chaos_step = min(step, self.connection.chaos_step, key=_rank)

    class Connection(psycopg2.extensions.connection):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self.chaos_step = ""
            self.chaos_prepared: dict[str, str] = {}

        @contextmanager
        def committing(self) -> Iterator[None]:
            step, self.chaos_step = self.chaos_step, ""
            if step:
                reach(folder, f"{step}.before", away)
            yield
            if step:
                reach(folder, f"{step}.after", away)

        def commit(self) -> None:
            with self.committing():
                super().commit()

        def rollback(self) -> None:
            self.chaos_step = ""
            super().rollback()

    connect = psycopg2.connect

    @wraps(connect)
    def connecting(*arguments: Any, **more: Any) -> Any:
        return connect(*arguments, **{"connection_factory": Connection, "cursor_factory": Cursor} | more)

    psycopg2.connect = connecting


def _step(statement: Any) -> str:
    text = statement.decode(errors="replace") if isinstance(statement, bytes) else str(statement)
    return next((step for step, of in TRANSACTIONS if of.search(text[:STATEMENT_LIMIT])), "")


def _rank(step: str) -> int:
    return next((rank for rank, (name, _) in enumerate(TRANSACTIONS) if name == step), len(TRANSACTIONS))


def _rabbitmq(folder: Path, channel: Any) -> None:
    def away() -> BaseException:
        from pika.exceptions import StreamLostError

        error: BaseException = StreamLostError("chaos: connection reset by peer")
        return error

    kind = channel.Channel
    _around(kind, "basic_ack", folder, "ack", away)
    _around(kind, "basic_publish", folder, "publish", away)
    confirm_delivery = kind.confirm_delivery

    @wraps(confirm_delivery)
    def confirming(self: Any, ack_nack_callback: Callable[[Any], None], callback: Any = None) -> Any:
        def confirmed(frame: Any) -> None:
            reach(folder, "confirm.before", away)
            ack_nack_callback(frame)
            reach(folder, "confirm.after", away)

        return confirm_delivery(self, confirmed, callback)

    kind.confirm_delivery = confirming


def _work(folder: Path, actor: Any) -> None:
    def trouble() -> BaseException:
        return RuntimeError("chaos: the work failed")

    initialise = actor.Actor.__init__

    @wraps(initialise)
    def initialising(self: Any, fn: Callable[..., Any], **more: Any) -> None:
        @wraps(fn)
        def working(batch: Any) -> Any:
            reach(folder, "work.before", trouble)
            reach(folder, f"work.{fn.__name__}", trouble)
            taste(folder, batch)
            result = fn(batch)
            reach(folder, "work.after", trouble)
            return result

        initialise(self, working, **more)

    actor.Actor.__init__ = initialising


def _mail(folder: Path, smtplib: Any) -> None:
    _around(smtplib.SMTP, "send_message", folder, "send", lambda: OSError("chaos: connection reset by peer"))


def _post(folder: Path, client: Any) -> None:
    _around(client.HTTPConnection, "getresponse", folder, "post", lambda: OSError("chaos: connection reset by peer"))


def _around(kind: Any, name: str, folder: Path, step: str, error: Callable[[], BaseException]) -> None:
    """Reach a point before and after a method."""
    method = getattr(kind, name)

    @wraps(method)
    def calling(self: Any, *arguments: Any, **more: Any) -> Any:
        reach(folder, f"{step}.before", error)
        result = method(self, *arguments, **more)
        reach(folder, f"{step}.after", error)
        return result

    setattr(kind, name, calling)
