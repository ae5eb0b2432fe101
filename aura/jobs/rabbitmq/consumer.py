"""Consumers of service mode: RabbitMQ messages, each validated before a worker thread receives it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from sqlalchemy import text
from sqlalchemy.exc import DataError, SQLAlchemyError

from aura.error_text import error_text, library_text
from aura.jobs import process_state
from aura.jobs.actor import DeadLettered, Unclaimed
from aura.jobs.backoff import backoff
from aura.jobs.bulkhead import Slot
from aura.jobs.program import Malformed
from aura.jobs.rabbitmq import messages
from aura.jobs.rabbitmq.subscriptions import Connection, Subscription
from aura.settings import Settings, first_line
from db import dead_letters, reading, traces, transaction
from db.text import storable

logger = logging.getLogger(__name__)

#: Seconds: the first and the longest pause before a message is tried again that the database could not store.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class RabbitmqSource:
    """Consumes every queue over one connection, which opens with the first consumer and closes with the last."""

    def __init__(self, broker: Any, settings: Settings) -> None:
        self._broker = broker
        self._connection = Connection(settings, broker.program.topology)
        #: Set while a consumer found the database unavailable.
        self.database_away = threading.Event()

    def consume(self, queue: str, prefetch: int, timeout: int, slot: Slot | None) -> GuardedConsumer:
        """Return a consumer on a channel of its own; `timeout` in milliseconds. Raises ConnectionClosed.

        It does so too while the database is unavailable: each delivery in vain would count towards the delivery limit of a
        quorum queue, 20 by default since RabbitMQ 4, beyond which a message becomes a dead letter.
        """
        if self.database_away.is_set():
            try:
                with reading() as session:
                    session.execute(text("SELECT 1"))
            except SQLAlchemyError as error:
                raise ConnectionClosed(f"the database is unavailable: {first_line(error)}") from None
            self.database_away.clear()
        return GuardedConsumer(
            self._broker,
            queue,
            self._subscribe(queue, prefetch),
            timeout / 1000,
            slot,
            self.database_away,
            lambda: self._subscribe(queue, prefetch),
        )

    def _subscribe(self, queue: str, prefetch: int) -> Subscription:
        try:
            subscription = self._connection.subscribe(queue, prefetch)
        except ConnectionClosed as error:
            process_state.problems[queue] = f"{queue} cannot be consumed: {error}"
            raise
        process_state.problems.pop(queue, None)
        return subscription

    def close(self) -> None:
        """Do nothing: the last consumer closes the connection."""


class GuardedMessage(MessageProxy):
    """A hint with its delivery tag and the subscription that received it."""

    def __init__(self, message: Message[Any], tag: int, subscription: Subscription) -> None:
        super().__init__(message)
        self._tag, self.subscription = tag, subscription
        #: Whether the broker delivers the hint again.
        self.requeued = False

    def stuff_exception(self, exception: BaseException) -> None:
        """Have RabbitMQ move the hint of dead jobs to the queue's `.XQ`, where operators expect failures.

        A hint of which no job could be claimed goes back into its queue.
        """
        super().stuff_exception(exception)
        if isinstance(exception, DeadLettered | Unclaimed):
            self.requeued = isinstance(exception, Unclaimed)
            self.fail()


class GuardedConsumer(Consumer):
    """Validates every message, and acks only those that it received itself.

    A hint goes to the workers; one for an actor that only another version has is left to that version. A plain JSON message
    becomes a job in one transaction and is acked. Any other message becomes a dead letter with its bytes and the reason, and
    is acked too. While the database is unavailable, the consumer holds its message and tries again.

    When its subscription ends, it subscribes again at once; Dramatiq, which would wait for three seconds first, does so when that
    fails, or when the subscription did not last.
    """

    def __init__(
        self,
        broker: Broker,
        queue_name: str,
        subscription: Subscription,
        timeout: float,
        slot: Slot | None,
        database_away: threading.Event | None = None,
        resubscribe: Callable[[], Subscription] | None = None,
    ) -> None:
        self.broker = broker
        self.queue_name = queue_name
        self.subscription = subscription
        self._timeout = timeout
        self._slot = slot
        self._database_away = database_away or threading.Event()
        self._resubscribe = resubscribe
        #: The delivery (method, properties, body) that waits for the database, and how often it was tried in vain.
        self._held: Any = None
        self._failures = 0

    def __next__(self) -> MessageProxy | None:
        return self._read() if self._slot is None else self._slot.read(self._read, self._timeout)

    def _read(self) -> MessageProxy | None:
        try:
            if self._held is None or not self.subscription.alive:
                self._held = self.subscription.get(self._timeout)
        except ConnectionClosed as error:
            self._held = None  # RabbitMQ delivers it again
            self._subscribe_again(error)
        if self._held is None:
            return None
        method, properties, body = self._held
        try:
            hint = self._take(properties, body)
        except SQLAlchemyError as error:
            self._wait_for_database(error)
            return None
        self._held, self._failures = None, 0
        if hint is not None:
            return GuardedMessage(hint, method.delivery_tag, self.subscription)
        self.subscription.ack(method.delivery_tag)
        return None

    def _subscribe_again(self, error: ConnectionClosed) -> None:
        """Replace the subscription that ended, or raise the error: after a short one, or while the database is away."""
        if self._resubscribe is None or not self.subscription.steady or self._database_away.is_set():
            raise error
        # a connection that broke is logged once, not for each queue
        level = logging.WARNING if self.subscription.channel_alone else logging.INFO
        logger.log(level, "%s is consumed again: %s", self.queue_name, error)
        self.subscription.close()
        self.subscription = self._resubscribe()

    def _take(self, properties: Any, body: bytes) -> Message[Any] | None:
        """Return the hint; store any other message. Raises SQLAlchemyError while the database is unavailable."""
        try:
            message = messages.understand(self.queue_name, body, self.broker)
            if isinstance(message, Message):
                return message
            if message is not None:
                with traces.within(_traceparent(properties)), transaction() as session:
                    message.accept(session, properties.message_id, _account(properties))
        except (Malformed, DataError) as error:
            self._dead_letter(body, error)  # also data that the database cannot store
        except SQLAlchemyError:
            raise
        except Exception as error:
            # it would be delivered again and again, before every message behind it
            logger.exception("reading a message in %s failed", self.queue_name)
            self._dead_letter(body, error)
        return None

    def _wait_for_database(self, error: SQLAlchemyError) -> None:
        """Wait, not acked: a channel that closed instead would count a delivery of every message that it holds."""
        self._failures += 1
        self._database_away.set()
        pause = backoff(self._failures, FIRST_PAUSE, LONGEST_PAUSE)
        if self._failures == 1:
            logger.warning("the database is unavailable; %s waits: %s", self.queue_name, first_line(error))
        threading.Event().wait(pause)

    def ack(self, message: Any) -> None:
        """Ack a message on the channel that delivered it: on another one, its tag may be another message's."""
        self._release(message)
        if isinstance(message, GuardedMessage):  # a step that was dispatched locally has no tag
            message.subscription.ack(message._tag)

    def nack(self, message: Any) -> None:
        """Reject a message on the channel that delivered it: it goes to the queue's `.XQ`, or back into the queue."""
        self._release(message)
        if isinstance(message, GuardedMessage):
            (message.subscription.requeue if message.requeued else message.subscription.reject)(message._tag)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing: RabbitMQ delivers unacked messages again as soon as the channel closes."""

    def close(self) -> None:
        """Close the channel; the last one closes the connection."""
        self.subscription.close()

    def _release(self, message: Any) -> None:
        if self._slot is not None:
            self._slot.release(message)

    def _dead_letter(self, body: bytes, error: Exception) -> None:
        # the dead letter has the error as it is; what it quotes is a part of the message
        logger.warning("message in %s dead-lettered: %s", self.queue_name, library_text(error_text(error)))
        with transaction() as session:
            dead_letters.record_message(session, self.queue_name, bytes(body), error)


def _traceparent(properties: Any) -> str | None:
    """Return the traceparent in the headers of a plain message, if it is valid."""
    value = (properties.headers or {}).get("traceparent")
    return value if isinstance(value, str) and traces.trace_of(value) else None


def _account(properties: Any) -> str:
    """Return the account that RabbitMQ validated; pika returns bytes that are not UTF-8 as they are."""
    account = properties.user_id or ""
    return storable(account if isinstance(account, str) else account.decode("utf-8", "backslashreplace"))
