"""The one RabbitMQ connection of a worker process, with a channel for each queue, served by one thread.

Deliveries wait in an inbox for their consumer; acks are passed to the thread. When the connection breaks, every
subscription ends at once, and the next one opens another connection, to another host if there are several: after a moment, so
that the clients of a dead node spread out, or after a backoff when the last connection did not hold.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import pika
from dramatiq.errors import ConnectionClosed
from pika.adapters.blocking_connection import BlockingChannel

from aura.jobs.backoff import backoff
from aura.jobs.rabbitmq import large_messages, topology
from aura.jobs.rabbitmq.connection import AWAY, RPC_SECONDS, bounded, describe, note_failure, open_any, open_one, place
from aura.jobs.rabbitmq.topology import Topology
from aura.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds: the first and the longest pause before another connection, and how long one must have held to reset it. In a rolling
#: restart the next node may stop ten seconds after the last one.
FIRST_PAUSE, LONGEST_PAUSE, STEADY_AFTER = 0.4, 3.0, 5.0
#: Seconds to wait for the connection's thread.
PATIENCE = 30.0


class Subscription:
    """A channel that consumes one queue; raises ConnectionClosed as soon as it has ended."""

    def __init__(self, link: _Link, channel: BlockingChannel) -> None:
        self._link = link
        self._channel = channel
        self._opened = time.monotonic()
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        #: Why RabbitMQ cancelled the consumer.
        self._cancelled = ""

    def get(self, timeout: float) -> Any:
        """Return the next (method, properties, body), or None when the seconds have passed."""
        try:
            delivery = self.inbox.get(timeout=timeout) if self.alive else self.inbox.get_nowait()
        except Empty:
            delivery = None
        if delivery is None and not self.alive:
            raise ConnectionClosed(self.reason)
        return delivery

    @property
    def reason(self) -> str:
        """Why the subscription has ended: the error of the connection, or the reason with which RabbitMQ closed the channel."""
        closed = getattr(self._channel, "_closing_reason", None)
        channel = f"the channel was closed: {describe(closed)}" if isinstance(closed, Exception) else ""
        return self._link.error or self._cancelled or channel or "RabbitMQ: the channel was closed"

    @property
    def alive(self) -> bool:
        return self._link.alive and self._channel.is_open

    @property
    def channel_alone(self) -> bool:
        """Whether the connection lives, so that only this channel may have ended."""
        return self._link.alive

    @property
    def steady(self) -> bool:
        """Whether it has lasted long enough that another one may follow at once."""
        return time.monotonic() - self._opened > STEADY_AFTER

    def ack(self, tag: int) -> None:
        """Acknowledge, soon."""
        self._link.soon(lambda: self._channel.basic_ack(tag) if self._channel.is_open else None)

    def reject(self, tag: int) -> None:
        """Reject, soon; the message goes to the queue's `.XQ`."""
        self._link.soon(lambda: self._channel.basic_nack(tag, requeue=False) if self._channel.is_open else None)

    def requeue(self, tag: int) -> None:
        """Give the message back, soon; RabbitMQ delivers it again."""
        self._link.soon(lambda: self._channel.basic_nack(tag, requeue=True) if self._channel.is_open else None)

    def end(self) -> None:
        """Close the channel whose consumer RabbitMQ cancelled, and wake the consumer; in the connection's thread."""
        self._cancelled = "RabbitMQ cancelled the consumer: its queue was deleted, or the node of the queue is down"
        if self._channel.is_open:
            self._channel.close()
        self.inbox.put(None)

    def close(self) -> None:
        """End the subscription after its last acks; RabbitMQ delivers unacked messages to other consumers."""
        self._link.unsubscribe(self._channel)


class Connection:
    """Opens the connection for the first subscription, and again after it broke."""

    def __init__(self, settings: Settings, topology: Topology) -> None:
        self._settings, self._topology = settings, topology
        self._opening = threading.Lock()
        self._link: _Link | None = None
        self._failures = 0

    def subscribe(self, queue: str, prefetch: int) -> Subscription:
        """Declare the queue and consume it. Raises ConnectionClosed."""
        with self._opening:
            if self._link is None or not self._link.alive:
                self._open()
            link = self._link
        assert link is not None
        return link.subscribe(queue, prefetch)

    def _open(self) -> None:
        if self._link is not None and self._link.seconds > STEADY_AFTER:
            self._failures = 1
        self._link = None
        if self._failures:
            threading.Event().wait(backoff(self._failures, FIRST_PAUSE, LONGEST_PAUSE))
        self._failures += 1  # reset when it holds
        try:
            self._link = _Link(self._settings, self._topology)
        except AWAY as error:
            raise ConnectionClosed(describe(error)) from None


class _Link:
    """One connection from its opening to its end, with its thread."""

    def __init__(self, settings: Settings, shape: Topology) -> None:
        self._settings, self._topology = settings, shape
        self._opened = time.monotonic()
        self._connection, self._parameters = open_any(settings, lambda params: (open_one(params), params))
        self._subscriptions: dict[BlockingChannel, Subscription] = {}
        self.alive = True
        self.error = ""
        threading.Thread(target=self._serve, name="rabbitmq", daemon=True).start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._opened

    def subscribe(self, queue: str, prefetch: int) -> Subscription:
        subscriptions: list[Subscription] = []

        def subscribe() -> None:
            wanted = topology.declarations(queue, self._topology, quorum=self._settings.quorum_queues)
            for name, reason in topology.attempt(self._connection, wanted).items():
                logger.warning("declaration failed: %s: %s", name, reason)
            channel = self._connection.channel()
            large_messages.bound(channel)
            channel.basic_qos(prefetch_count=prefetch)
            subscription = self._subscriptions[channel] = Subscription(self, channel)
            channel.add_on_cancel_callback(lambda _frame: subscription.end())  # the queue is gone
            channel.basic_consume(queue, lambda _channel, *delivery: subscription.inbox.put(delivery))
            subscriptions.append(subscription)

        self._now(subscribe)
        return subscriptions[0]

    def unsubscribe(self, channel: BlockingChannel) -> None:
        def unsubscribe() -> None:
            self._subscriptions.pop(channel, None)
            if channel.is_open:
                channel.close()
            if not self._subscriptions:
                self._connection.close()

        try:
            self._now(unsubscribe)
        except ConnectionClosed as error:
            logger.info("channel already closed: %s", error)

    def soon(self, call: Callable[[], None]) -> None:
        """Run a call in the connection's thread; if the connection breaks before, the call is of no use."""
        try:
            self._connection.add_callback_threadsafe(call)
        except pika.exceptions.AMQPError as error:
            logger.info("message not acknowledged, so it is delivered again: %s", describe(error))

    def _now(self, call: Callable[[], None]) -> None:
        done = threading.Event()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                with bounded(self._connection, RPC_SECONDS):
                    call()
            except AWAY as error:
                errors.append(error)
            finally:
                done.set()

        try:
            self._connection.add_callback_threadsafe(run)
        except pika.exceptions.AMQPError as error:
            raise ConnectionClosed(describe(error)) from None
        deadline = time.monotonic() + PATIENCE
        while not done.wait(0.2):
            if not self.alive or time.monotonic() > deadline:
                raise ConnectionClosed(self.error or "RabbitMQ: no answer")
        if errors:
            raise ConnectionClosed(describe(errors[0]))

    def _serve(self) -> None:
        try:
            while self._connection.is_open:
                self._connection.process_data_events(time_limit=1)
        except AWAY as error:
            self.error = describe(error)
        except Exception as error:
            # consumers would wait without end
            logger.exception("RabbitMQ connection failed")
            self.error = describe(error)
        finally:
            self.alive = False
            if self.error:
                logger.warning("connection to %s lost: %s", place(self._parameters), self.error)
                note_failure(self._parameters)
            for subscription in list(self._subscriptions.values()):
                subscription.inbox.put(None)  # ends each wait for a delivery at once
