"""What may come in a message: a hint from our relay, or plain JSON from any other program.

| queue            | plain JSON                                           | becomes                            |
| `tickets.intake` | a ticket: title, description, requester, ...         | a job of `receive`                 |
| `ai.{type}`      | `{"ticket_id": 17, "type": "classify"}`              | a job of the queue's actor         |
| `notify.email`   | `{"user_id": "ada", "data": {"subject", "message"}}` | a notification and its delivery    |
| `notify.slack`   | the same, with an endpoint's name; so for the others | a notification and its delivery    |

The same message twice is one message: the same AMQP `message_id` with the same bytes, or without a `message_id` the same
bytes within the same hour. Give each message an id of its own, and a repeated alarm is never taken for an echo.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dramatiq import Actor, Message
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from db import endpoints, hints, jobs, notifications, reading
from db.ids import is_id
from db.jobs import NewJob
from db.new_tickets import parse_json, storable

#: The longest message that is read, in bytes.
SIZE_LIMIT = 1_000_000
#: The exact keys of a Dramatiq envelope.
ENVELOPE = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
#: Job priority of work that a message asks for.
PRIORITY = 5


class Malformed(InvalidInput):
    """The message is neither a hint nor a plain message that its queue takes; the text says why."""


class UnknownActor(Malformed):
    """A hint for an actor that this version does not have; another one may."""

    def __init__(self, queue: str, actor: str, ids: list[int]) -> None:
        super().__init__(f"no actor {actor[:80]!r} listens on {queue}")
        self.actor, self.ids = actor, ids


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain JSON message on its way into the database."""

    queue: str
    actor: str
    payload: dict[str, Any]
    body: bytes

    def accept(self, session: Session, message_id: str | bytes | None) -> None:
        """Store what the message asks for, as part of the caller's transaction. Raises Malformed."""
        identity = _identity(message_id, self.body)
        if self.queue == "tickets.intake":
            # as ASCII text, for JSON may hold what PostgreSQL cannot store
            ticket = json.dumps(self.payload, ensure_ascii=True)
            # not the bare id, which may be a number: that is the key of the ticket's own jobs
            jobs.enqueue(session, [NewJob("receive", f"message:{identity}", [ticket], priority=PRIORITY)])
        elif self.queue.startswith("ai."):
            jobs.enqueue(session, [NewJob(self.actor, self._ticket_id(), priority=PRIORITY)])
        else:
            self._notify(session, identity)

    def _ticket_id(self) -> str:
        ticket_id, kind = self.payload.get("ticket_id"), self.payload.get("type")
        if kind is not None and f"ai.{kind}" != self.queue:
            raise Malformed(f"type {str(kind)[:40]!r} does not belong into {self.queue}")
        if isinstance(ticket_id, int) and not isinstance(ticket_id, bool):
            ticket_id = str(ticket_id)
        if (
            not isinstance(ticket_id, str)
            or not ticket_id.isdecimal()
            or not ticket_id.isascii()
            or len(ticket_id) > 18
        ):
            raise Malformed("ticket_id must be the number of a ticket")
        return str(int(ticket_id))  # "007" is ticket 7

    def _notify(self, session: Session, identity: str) -> None:
        user_id, data = self.payload.get("user_id"), self.payload.get("data")
        if not isinstance(user_id, str | int) or isinstance(user_id, bool) or not isinstance(data, dict):
            raise Malformed('a notification needs {"user_id": ..., "data": {...}}')
        channel = self.queue.removeprefix("notify.")
        address = _address(session, channel, storable(str(user_id)))
        body = data.get("message") or data.get("body") or data.get("text") or json.dumps(data, indent=2, default=str)
        notification = {
            "id": uuid.uuid4().hex,
            "ticket_id": None,
            "event": "message",
            "channel": channel,
            "recipient": address,
            "role": "recipient",
            "dedupe_key": f"message:{self.queue}:{identity}",
            "subject": storable(str(data.get("subject") or "Message from the service desk"))[:500],
            "body": storable(str(body)),
            "html": "",
            "data": _storable(data) if channel != "email" else {},
            "state": "enqueued",
        }
        new = notifications.write(session, [notification])
        jobs.enqueue(session, [NewJob(self.actor, key, priority=PRIORITY) for key in new])


def _address(session: Session, channel: str, user_id: str) -> str:
    """Return where a message to somebody goes on the channel. Raises Malformed."""
    if channel != "email":
        endpoint = endpoints.find(session, [user_id]).get(user_id)
        if endpoint is None or endpoint.channel != channel:
            raise Malformed(f"user_id {user_id[:80]!r} is no endpoint of {channel}; `aura endpoints list` shows them")
        return user_id
    address = notifications.address_of(session, user_id)
    if address is None or len(address) > 254:
        raise Malformed(f"user_id {user_id[:80]!r} is neither an agent nor an e-mail address")
    return address


def _storable(value: Any) -> Any:
    """Return a JSON value without what PostgreSQL cannot store: NUL bytes, lone surrogates, and 1e400."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _storable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def understand(queue: str, body: bytes, actors: Mapping[str, Actor[Any, Any]]) -> Message[Any] | Plain | None:
    """Return the message, or None for a hint of jobs that another version promised: its workers do them.

    Such a hint may be lost, for it is given again. Raises Malformed, SQLAlchemyError.
    """
    try:
        return read(queue, body, actors)
    except UnknownActor as error:
        with reading() as session:
            if not hints.enqueued(session, error.actor, error.ids):
                raise
    return None


def read(queue: str, body: bytes, actors: Mapping[str, Actor[Any, Any]]) -> Message[Any] | Plain:
    """Return the hint or the plain message that the bytes hold. Raises Malformed."""
    if len(body) > SIZE_LIMIT:
        raise Malformed(f"{len(body)} bytes are more than the {SIZE_LIMIT} that a message may have")
    try:
        payload = parse_json(body)
    except ValueError as error:
        raise Malformed(f"not JSON: {str(error)[:200]}") from None
    if not isinstance(payload, dict):
        raise Malformed(f"a JSON object is expected, not {type(payload).__name__}")
    if "actor_name" in payload:
        return _hint(queue, payload, actors)
    taker = next((name for name, actor in actors.items() if actor.queue_name == queue), None)
    if taker is None or not queue.startswith(("tickets.intake", "ai.", "notify.")):
        raise Malformed(f"{queue} takes hints only")
    return Plain(queue, taker, payload, body)


def _identity(message_id: str | bytes | None, body: bytes) -> str:
    if isinstance(message_id, str):
        message_id = message_id.encode("utf-8", "surrogatepass")
    # bytes: what is no UTF-8 comes as it is
    sender = b"id:" + message_id if message_id else datetime.now(UTC).strftime("hour:%Y%m%d%H").encode()
    return hashlib.sha256(sender + b"\0" + body).hexdigest()


def _hint(queue: str, envelope: dict[str, Any], actors: Mapping[str, Actor[Any, Any]]) -> Message[Any]:
    if set(envelope) != ENVELOPE:
        raise Malformed(f"an envelope has exactly the keys {', '.join(sorted(ENVELOPE))}")
    name, args = envelope["actor_name"], envelope["args"]
    known = actors.get(name) if isinstance(name, str) else None
    # what no database can store is no version's actor
    foreign = isinstance(name, str) and known is None and storable(name) == name
    if envelope["queue_name"] != queue or not (foreign or (known is not None and known.queue_name == queue)):
        raise Malformed(f"no actor {str(name)[:80]!r} listens on {queue}")
    ids = args[0] if isinstance(args, list) and len(args) == 1 else None
    if not isinstance(ids, list) or not 0 < len(ids) <= 1000 or not all(type(i) is int and is_id(i) for i in ids):
        raise Malformed("the arguments of a hint are one list of job ids")
    if envelope["kwargs"] != {} or envelope["options"] != {}:
        raise Malformed("a hint has no keyword arguments and no options")
    if not isinstance(envelope["message_id"], str) or type(envelope["message_timestamp"]) is not int:
        raise Malformed("a hint has a message_id and a message_timestamp")
    if foreign:
        raise UnknownActor(queue, name, ids)
    return Message(queue, name, (ids,), {}, {}, envelope["message_id"], envelope["message_timestamp"])
