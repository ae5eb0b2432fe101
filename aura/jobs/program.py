"""Program: the parts that an application gives to the job system, such as its topology and its plain messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dramatiq import Actor
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from aura.jobs.rabbitmq.topology import Topology
from db.jobs import Claimed


class Malformed(InvalidInput):
    """A message is neither a hint nor a plain message that its queue accepts; the text says why."""


class PlainMessage(Protocol):
    """A message that another program published as plain JSON."""

    def accept(self, session: Session, message_id: str | bytes | None, account: str) -> None:
        """Enqueue the jobs that it asks for, in the caller's transaction. Raises Malformed.

        `account` is the user_id of the message, which RabbitMQ compares with the account of the sender; "" if it has none.
        """


#: Reads a plain message: (queue, payload, body, actors by name). Raises Malformed.
ReadPlain = Callable[[str, dict[str, Any], bytes, Mapping[str, Actor[Any, Any]]], PlainMessage]
#: Called in the transaction that makes jobs dead letters, with each job and its error in one line.
OnDead = Callable[[Session, Sequence[tuple[Claimed, str]]], None]


def refuse_plain(
    queue: str, _payload: dict[str, Any], _body: bytes, _actors: Mapping[str, Actor[Any, Any]]
) -> PlainMessage:
    """Refuse every plain message."""
    raise Malformed(f"{queue} takes hints only")


def ignore_dead(_session: Session, _dead: Sequence[tuple[Claimed, str]]) -> None:
    """Do nothing: the dead letters are in their table."""


def log_keys(_actor: Actor[Any, Any]) -> str:
    """Name the keys of jobs `keys` in log lines."""
    return "keys"


def no_series() -> None:
    """Do nothing: the program has no metrics besides those of jobs."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program on the job system; without arguments one that needs nothing but its actors."""

    topology: Topology = field(default_factory=Topology)
    read_plain: ReadPlain = refuse_plain
    on_dead: OnDead = ignore_dead
    #: The name of the keys of an actor's jobs in log lines, such as `tickets`.
    key_label: Callable[[Actor[Any, Any]], str] = log_keys
    #: Creates the series of the program's own metrics, as 0; called when a process of the worker command starts.
    create_series: Callable[[], None] = no_series
    #: Modules that a worker imports at its boot: they construct the pipelines.
    modules: Sequence[str] = ()
