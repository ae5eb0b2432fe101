"""The broker of service mode: Dramatiq's RabbitMQ broker with our topology and a consumer that trusts no message."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pika
import pika.data
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from sqlalchemy.exc import DataError, SQLAlchemyError

from actors import messages, topology
from actors.publisher import describe, parameters
from db import dead_letters, transaction
from settings import Settings, first_line

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
    """Consumes hints and plain JSON messages; publishing is the relay's business."""

    def __init__(self, settings: Settings, middleware: list[Any]) -> None:
        super().__init__(parameters=[], middleware=middleware, confirm_delivery=True)
        self.parameters = parameters(settings)
        self.settings = settings

    @property
    def consumer_class(self) -> type[GuardedConsumer]:
        return GuardedConsumer

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a queue; delays live in the database, so there is no delay queue beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.queues_pending.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def _ensure_queue(self, queue_name: str) -> None:
        # on a connection of its own, for the consumer's thread must not own one that nobody serves
        try:
            with pika.BlockingConnection(self.parameters) as connection:
                channel = connection.channel()
                topology.declare_exchanges(channel)
                topology.declare(channel, queue_name, self.settings)
        except (pika.exceptions.AMQPError, OSError) as error:
            raise ConnectionClosed(describe(error)) from None
        self.queues_pending.discard(queue_name)


class _GuardedMessage(_RabbitmqMessage):
    consumer: GuardedConsumer


class GuardedConsumer(_RabbitmqConsumer):
    """Checks every message before a worker thread sees it, and acks only what came through itself.

    A hint goes to the workers. A plain JSON message becomes a job in one transaction and is acked. What can be neither
    becomes a dead letter with its bytes and the reason, and is acked too.
    """

    def __next__(self) -> _RabbitmqMessage | None:
        try:
            method, properties, body = next(self.iterator)
        except (AssertionError, pika.exceptions.AMQPError, OSError) as error:
            raise ConnectionClosed(describe(error)) from None
        if method is None:
            return None
        try:
            message = messages.read(self.queue_name, body, self.broker.actors)
            if isinstance(message, Message):
                hint = _GuardedMessage(method.redelivered, method.delivery_tag, message)
                hint.consumer = self
                self.known_tags.add(method.delivery_tag)
                return hint
            with transaction() as session:
                message.accept(session, properties.message_id)
        except messages.Malformed as error:
            self._bury(body, error)
        except DataError as error:
            self._bury(body, error)  # the database cannot store it, and never will
        except SQLAlchemyError as error:
            # not acked: RabbitMQ gives it again when this consumer comes back
            raise ConnectionClosed(f"the database is away: {first_line(error)}") from None
        self.channel.basic_ack(method.delivery_tag)
        return None

    def ack(self, message: Any) -> None:
        """Ack a message, but not one that came over an earlier connection: its tag may be another message's now."""
        if message.consumer is self:
            super().ack(message)

    def nack(self, message: Any) -> None:
        """Reject a message that came over this connection; it goes to the queue's `.XQ`."""
        if message.consumer is self:
            super().nack(message)

    def _bury(self, body: bytes, error: Exception) -> None:
        self.logger.warning("A message in %s cannot be read: %s", self.queue_name, error)
        try:
            with transaction() as session:
                dead_letters.record_message(session, self.queue_name, body, error)
        except SQLAlchemyError as trouble:
            raise ConnectionClosed(f"the database is away: {first_line(trouble)}") from None
