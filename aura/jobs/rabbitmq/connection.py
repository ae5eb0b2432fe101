"""The line: the one RabbitMQ connection of a worker process, with a channel for each queue, served by one thread.

Deliveries wait in an inbox for their consumer; acks are handed to the thread. When the connection breaks, every
subscription is over at once, and the next one opens a new connection, after a pause that grows and is jittered.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import pika
from dramatiq.errors import ConnectionClosed
from pika.adapters.blocking_connection import BlockingChannel

from aura.jobs.rabbitmq import topology
from aura.jobs.rabbitmq.publisher import describe, parameters
from aura.settings import Settings

logger = logging.getLogger(__name__)

#: Seconds: the first and the longest pause before a new connection, and how long one must have held to be forgiven.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY_AFTER = 30.0
#: Seconds to wait for the connection's thread to do something.
PATIENCE = 30.0

#: What pika raises when the broker is away.
TROUBLE = (AssertionError, pika.exceptions.AMQPError, OSError)


def backoff(failures: int) -> float:
    """Return the seconds before a new connection after so many failures; jittered, for all lose theirs at once."""
    return min(FIRST_PAUSE * 2.0 ** min(failures, 10), LONGEST_PAUSE) * random.uniform(0.5, 1.0)


class Subscription:
    """One queue's consumer on the line; raises ConnectionClosed as soon as it is over."""

    def __init__(self, link: _Link, channel: BlockingChannel) -> None:
        self._link = link
        self._channel = channel
        self.inbox: SimpleQueue[Any] = SimpleQueue()

    def get(self, timeout: float) -> Any:
        """Return the next (method, properties, body), or None when the seconds have passed."""
        try:
            delivery = self.inbox.get(timeout=timeout) if self.alive else self.inbox.get_nowait()
        except Empty:
            delivery = None
        if delivery is None and not self.alive:
            raise ConnectionClosed(self._link.trouble or "RabbitMQ: the channel was closed")
        return delivery

    @property
    def alive(self) -> bool:
        return self._link.alive and self._channel.is_open

    def ack(self, tag: int) -> None:
        """Acknowledge, soon."""
        self._link.soon(lambda: self._channel.basic_ack(tag) if self._channel.is_open else None)

    def reject(self, tag: int) -> None:
        """Reject, soon; the message goes to the queue's `.XQ`."""
        self._link.soon(lambda: self._channel.basic_nack(tag, requeue=False) if self._channel.is_open else None)

    def end(self) -> None:
        """Close the channel, in the connection's thread, and wake who waits for a delivery."""
        if self._channel.is_open:
            self._channel.close()
        self.inbox.put(None)

    def close(self) -> None:
        """End the subscription when its last acks are out; RabbitMQ gives what is not acked to others."""
        self._link.unsubscribe(self._channel)


class Connection:
    """Opens the connection when the first queue is subscribed to, and again when it broke."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
            self._failures = 0
        self._link = None
        if self._failures:
            threading.Event().wait(backoff(self._failures))
        self._failures += 1  # forgiven when it holds
        try:
            self._link = _Link(self._settings)
        except TROUBLE as error:
            raise ConnectionClosed(describe(error)) from None


class _Link:
    """One connection from its opening to its end, and its thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened = time.monotonic()
        self._connection = pika.BlockingConnection(parameters(settings))
        self._subscriptions: dict[BlockingChannel, Subscription] = {}
        self.alive = True
        self.trouble = ""
        threading.Thread(target=self._serve, name="rabbitmq", daemon=True).start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._opened

    def subscribe(self, queue: str, prefetch: int) -> Subscription:
        found: list[Subscription] = []

        def subscribe() -> None:
            channel = self._connection.channel()
            topology.declare(channel, queue, self._settings)
            channel.basic_qos(prefetch_count=prefetch)
            subscription = self._subscriptions[channel] = Subscription(self, channel)
            channel.add_on_cancel_callback(lambda _frame: subscription.end())  # the queue is gone
            channel.basic_consume(queue, lambda _channel, *delivery: subscription.inbox.put(delivery))
            found.append(subscription)

        self._now(subscribe)
        return found[0]

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
            logger.info("a channel was closed already: %s", error)

    def soon(self, call: Callable[[], None]) -> None:
        """Do something in the connection's thread; if the connection breaks before, it is not needed any more."""
        try:
            self._connection.add_callback_threadsafe(call)
        except pika.exceptions.AMQPError as error:
            logger.info("not acknowledged, so it comes again: %s", describe(error))

    def _now(self, call: Callable[[], None]) -> None:
        done = threading.Event()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                call()
            except TROUBLE as error:
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
                raise ConnectionClosed(self.trouble or "RabbitMQ: no answer")
        if errors:
            raise ConnectionClosed(describe(errors[0]))

    def _serve(self) -> None:
        try:
            while self._connection.is_open:
                self._connection.process_data_events(time_limit=1)
        except TROUBLE as error:
            self.trouble = describe(error)
        except Exception as error:
            # a line that dies in silence would leave consumers waiting for ever
            logger.exception("the RabbitMQ connection broke in an unexpected way")
            self.trouble = describe(error)
        finally:
            self.alive = False
            for subscription in list(self._subscriptions.values()):
                subscription.inbox.put(None)  # whoever waits for a delivery hears it at once
