"""Messages on RabbitMQ: a hint of the relay, a plain JSON message of another program, or neither.

The program reads plain messages (`Program.read_plain`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dramatiq import Actor, Message

from aura.jobs.program import Malformed, PlainMessage
from aura.jobs.rabbitmq.large_messages import HEAD_BYTES, SIZE_LIMIT, TruncatedBody, size_of
from db import hints, reading
from db.ids import is_id
from db.text import parse_json, storable

#: The exact keys of a Dramatiq envelope.
ENVELOPE = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
#: Most job ids in one hint.
IDS_LIMIT = 1000


class UnknownActor(Malformed):
    """A hint for an actor that this version does not have; another one may."""

    def __init__(self, queue: str, actor: str, ids: list[int]) -> None:
        super().__init__(f"no actor {actor[:80]!r} listens on {queue}")
        self.actor, self.ids = actor, ids


def understand(queue: str, body: bytes, broker: Any) -> Message[Any] | PlainMessage | None:
    """Return the message, or None for a hint of jobs that another version enqueued: its workers run them.

    Such a hint may be lost, for its jobs are dispatched again. Raises Malformed, SQLAlchemyError.
    """
    try:
        return read(queue, body, broker)
    except UnknownActor as error:
        with reading() as session:
            if not hints.enqueued(session, error.actor, error.ids):
                raise
    return None


def is_hint(queue: str, body: bytes, broker: Any) -> bool:
    """Return whether the message is a hint, and not a plain message. Raises Malformed, SQLAlchemyError."""
    message = understand(queue, body, broker)
    return message is None or isinstance(message, Message)


def read(queue: str, body: bytes, broker: Any) -> Message[Any] | PlainMessage:
    """Return the hint or the plain message that the bytes hold. Raises Malformed."""
    if size_of(body) > SIZE_LIMIT:
        kept = f"; the first {HEAD_BYTES} are kept" if isinstance(body, TruncatedBody) else ""
        raise Malformed(f"{size_of(body)} bytes are more than the {SIZE_LIMIT} of the longest message{kept}")
    try:
        payload = parse_json(body)
    except ValueError as error:
        raise Malformed(f"not JSON: {str(error)[:200]}") from None
    if not isinstance(payload, dict):
        raise Malformed(f"a JSON object is expected, not {type(payload).__name__}")
    if "actor_name" in payload:
        return _hint(queue, payload, broker.actors)
    message: PlainMessage = broker.program.read_plain(queue, payload, body, broker.actors)
    return message


def _hint(queue: str, envelope: dict[str, Any], actors: Mapping[str, Actor[Any, Any]]) -> Message[Any]:
    if set(envelope) != ENVELOPE:
        raise Malformed(f"an envelope has exactly the keys {', '.join(sorted(ENVELOPE))}")
    name, args = envelope["actor_name"], envelope["args"]
    actor = actors.get(name) if isinstance(name, str) else None
    # a name that no database can store is no version's actor
    foreign = isinstance(name, str) and actor is None and storable(name) == name
    if envelope["queue_name"] != queue or not (foreign or (actor is not None and actor.queue_name == queue)):
        raise Malformed(f"no actor {str(name)[:80]!r} listens on {queue}")
    ids = args[0] if isinstance(args, list) and len(args) == 1 else None
    if not isinstance(ids, list) or not 0 < len(ids) <= IDS_LIMIT or not all(type(i) is int and is_id(i) for i in ids):
        raise Malformed("the arguments of a hint are one list of job ids")
    if envelope["kwargs"] != {} or envelope["options"] != {}:
        raise Malformed("a hint has no keyword arguments and no options")
    if not isinstance(envelope["message_id"], str) or type(envelope["message_timestamp"]) is not int:
        raise Malformed("a hint has a message_id and a message_timestamp")
    if foreign:
        raise UnknownActor(queue, name, ids)
    return Message(queue, name, (ids,), {}, {}, envelope["message_id"], envelope["message_timestamp"])
