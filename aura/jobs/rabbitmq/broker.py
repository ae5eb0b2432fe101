"""The broker of service mode: Dramatiq's RabbitMQ broker with our topology and a consumer that trusts no message."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable
from typing import Any

import pika.data
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed, QueueNotFound
from dramatiq.message import Message
from sqlalchemy.exc import DataError, SQLAlchemyError

from aura.jobs import bulkhead
from aura.jobs.bulkhead import BulkheadSlot
from aura.jobs.rabbitmq import messages
from aura.jobs.rabbitmq.connection import Connection, Subscription
from aura.settings import Settings, first_line
from db import dead_letters, traces, transaction

logger = logging.getLogger(__name__)

_decode_table: Callable[[bytes, int], tuple[dict[str, Any], int]] = pika.data.decode_table


def _decode_any_table(encoded: bytes, offset: int) -> tuple[dict[str, Any], int]:
    """Decode a field table, or pass over one that pika cannot read (a date beyond 9999, tables a thousand deep).

    Such a table in a message's headers, which nobody here reads, would break the connection at every delivery of it.
    """
    (length,) = struct.unpack_from(">I", encoded, offset)
    try:
        table, _ = _decode_table(encoded, offset)
    except Exception:
        table = {}
    # where it says it ends, whatever a table inside it claims
    return table, offset + 4 + length


pika.data.decode_table = _decode_any_table


class HintBroker(RabbitmqBroker):
    """Consumes hints and plain JSON messages over one connection; publishing is the relay's business."""

    def __init__(self, settings: Settings, middleware: list[Any]) -> None:
        super().__init__(parameters=[], middleware=middleware, confirm_delivery=True)
        self.line = Connection(settings)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a queue; delays live in the database, so there is no delay queue beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> GuardedConsumer:
        """Return a consumer on a channel of its own. Raises QueueNotFound, and ConnectionClosed without RabbitMQ."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)
        most, door = bulkhead.of(self).share(self, queue_name, prefetch)
        return GuardedConsumer(self, queue_name, self.line.subscribe(queue_name, most), timeout / 1000, door)


class _GuardedMessage(_RabbitmqMessage):
    consumer: GuardedConsumer


class GuardedConsumer(Consumer):
    """Checks every message before a worker thread sees it, and acks only what came through itself.

    A hint goes to the workers; one for an actor that only another version has is left to that. A plain JSON message
    becomes a job in one transaction and is acked. What can be neither becomes a dead letter with its bytes and the
    reason, and is acked too.
    """

    def __init__(
        self, broker: HintBroker, queue_name: str, subscription: Subscription, timeout: float, door: BulkheadSlot
    ) -> None:
        self.broker = broker
        self.queue_name = queue_name
        self.subscription = subscription
        self._timeout = timeout
        self._door = door

    def __next__(self) -> MessageProxy | None:
        return self._door.take(self._read, self._timeout)

    def _read(self) -> MessageProxy | None:
        delivery = self.subscription.get(self._timeout)
        if delivery is None:
            return None
        method, properties, body = delivery
        try:
            message = messages.understand(self.queue_name, body, self.broker.actors)
            if isinstance(message, Message):
                hint = _GuardedMessage(method.redelivered, method.delivery_tag, message)
                hint.consumer = self
                return hint
            if message is not None:
                with traces.within(_traceparent(properties)), transaction() as session:
                    message.accept(session, properties.message_id)
        except (messages.Malformed, DataError) as error:
            self._bury(body, error)  # also what the database cannot store, and never will
        except SQLAlchemyError as error:
            # not acked: RabbitMQ gives it again when this consumer comes back
            raise ConnectionClosed(f"the database is away: {first_line(error)}") from None
        except Exception as error:
            # nobody foresaw it, and it would come again and again, before all that waits behind it
            logger.exception("a message in %s broke what reads it", self.queue_name)
            self._bury(body, error)
        self.subscription.ack(method.delivery_tag)
        return None

    def ack(self, message: Any) -> None:
        """Ack a message, but not one that came over an earlier connection: its tag may be another message's now."""
        if message.consumer is self:
            self.subscription.ack(message._tag)

    def nack(self, message: Any) -> None:
        """Reject a message that came over this connection; it goes to the queue's `.XQ`."""
        if message.consumer is self:
            self.subscription.reject(message._tag)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing: RabbitMQ gives again what is not acked, as soon as the channel closes."""

    def close(self) -> None:
        """Close the channel; the last one closes the connection."""
        self.subscription.close()

    def _bury(self, body: bytes, error: Exception) -> None:
        logger.warning("A message in %s cannot be read: %s", self.queue_name, error)
        try:
            with transaction() as session:
                dead_letters.record_message(session, self.queue_name, body, error)
        except SQLAlchemyError as trouble:
            raise ConnectionClosed(f"the database is away: {first_line(trouble)}") from None


def _traceparent(properties: Any) -> str | None:
    """Return the span that a plain message names in its headers, if that is one."""
    named = (properties.headers or {}).get("traceparent")
    return named if isinstance(named, str) and traces.trace_of(named) else None
