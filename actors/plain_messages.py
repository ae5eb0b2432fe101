"""Plain JSON messages of other programs: what each queue accepts, and the job that it becomes.

| queue            | plain JSON                                           | becomes                            |
| `tickets.intake` | a ticket: title, description, requester, ...         | a job of `receive`                 |
| `ai.{type}`      | `{"ticket_id": 17, "type": "classify"}`              | a job of the queue's actor         |
| `notify.email`   | `{"user_id": "ada", "data": {"subject", "message"}}` | a notification and its delivery    |
| `notify.slack`   | the same with an endpoint's name; so for the others  | a notification and its delivery    |

Two messages of an account are the same if they have one AMQP `message_id` and the same bytes, or without a `message_id` the
same bytes within one hour. The account is the AMQP `user_id`, which RabbitMQ validates; messages without it share one. A
`message_id` of its own tells a repeated alarm from a repeated delivery.
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

from dramatiq import Actor
from sqlalchemy.orm import Session

from aura.jobs.program import Malformed
from aura.settings import get_settings
from db import endpoints, jobs, notifications
from db.fair_shares import share_of
from db.jobs import NewJob
from db.text import storable

#: The first words of the queues that accept plain messages.
PLAIN = ("tickets.intake", "ai.", "notify.")
#: Priority of the jobs.
PRIORITY = 5


def read_plain(queue: str, payload: dict[str, Any], body: bytes, actors: Mapping[str, Actor[Any, Any]]) -> PlainJson:
    """Return the plain message. Raises Malformed for a queue that accepts none."""
    actor = next((name for name, each in actors.items() if each.queue_name == queue), None)
    if actor is None or not queue.startswith(PLAIN):
        raise Malformed(f"{queue} takes hints only")
    return PlainJson(queue, actor, payload, body)


@dataclass(frozen=True, slots=True)
class PlainJson:
    """A plain JSON message for one queue."""

    queue: str
    actor: str
    payload: dict[str, Any]
    body: bytes

    def accept(self, session: Session, message_id: str | bytes | None, account: str = "") -> None:
        """Enqueue the jobs that the message asks for, in the caller's transaction. Raises Malformed."""
        identity = _identity(message_id, self.body, account)
        if self.queue == "tickets.intake":
            # as ASCII text, for JSON may hold what PostgreSQL cannot store
            ticket = json.dumps(self.payload, ensure_ascii=True)
            # not the bare id: a number is the key of a ticket's own jobs
            args = [ticket, account] if account else [ticket]
            share = share_of(f"message:{account}")
            jobs.enqueue(session, [NewJob("receive", f"message:{identity}", args, priority=PRIORITY, share=share)])
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
        share = share_of("message", address)
        jobs.enqueue(session, [NewJob(self.actor, key, priority=PRIORITY, share=share) for key in new])


def _address(session: Session, channel: str, user_id: str) -> str:
    """Return the recipient of a message on the channel. Raises Malformed."""
    if channel != "email":
        endpoint = endpoints.find(session, [user_id]).get(user_id)
        if endpoint is None or endpoint.channel != channel:
            raise Malformed(f"user_id {user_id[:80]!r} is not an endpoint of {channel}")
        return user_id
    address = notifications.address_of(session, user_id)
    if address is None or len(address) > 254:
        raise Malformed(f"user_id {user_id[:80]!r} is neither an agent nor an e-mail address")
    if get_settings().message_recipients == "known" and not notifications.is_known(session, address):
        raise Malformed(f"{address[:80]!r} is neither an agent nor a requester (AURA_MESSAGE_RECIPIENTS=known)")
    return address


def _storable(value: Any) -> Any:
    """Return a JSON value without content that PostgreSQL cannot store: NUL bytes, lone surrogates, and 1e400."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _storable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _identity(message_id: str | bytes | None, body: bytes, account: str) -> str:
    if isinstance(message_id, str):
        message_id = message_id.encode("utf-8", "surrogatepass")
    # pika returns bytes that are not UTF-8 as they are
    sender = b"id:" + message_id if message_id else datetime.now(UTC).strftime("hour:%Y%m%d%H").encode()
    if account:
        sender = b"account:%d:" % len(account.encode()) + account.encode() + sender
    return hashlib.sha256(sender + b"\0" + body).hexdigest()
