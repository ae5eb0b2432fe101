"""A connection in confirm mode that the caller's thread drives: publish many messages, then wait for all confirms.

One wait for a whole batch is about ten times faster than one for each message. A block or the loss of the connection is an
error of the connection, after which it is of no use. A nack or a return concerns the messages of one routing key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop, PollEvents, SelectConnection

from aura.jobs.rabbitmq.connection import describe
from aura.jobs.transport import Outgoing, PublishFailed

#: Seconds for an orderly close.
CLOSE_SECONDS = 2.0


class ConfirmConnection:
    """One connection with one channel, from its opening to its close; for one thread."""

    def __init__(self, parameters: pika.ConnectionParameters, watched: Mapping[int, Callable[[], None]]) -> None:
        """Open the connection and watch file descriptors beside it. Raises PublishFailed."""
        self.parameters = parameters
        self.error = ""
        #: The routing key of each message without a confirm; the failures, by routing key.
        self._unconfirmed: dict[int, str] = {}
        self._failures: dict[str, str] = {}
        self._published = 0
        self._channel: Any = None
        self._loop = IOLoop()
        self._loop.activate_poller()
        for fileno, readable in watched.items():
            self.watch(fileno, readable)
        self._connection = SelectConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda _connection, error: self.fail(describe(error)),
            on_close_callback=lambda _connection, error: self.fail(describe(error)),
            custom_ioloop=self._loop,
        )
        self._connection.add_on_connection_blocked_callback(
            lambda _connection, frame: self.fail(f"RabbitMQ blocks publishers: {frame.method.reason}")
        )
        if not self.drive(lambda: self._channel is not None, parameters.stack_timeout):
            error = self.error or "no answer from RabbitMQ"
            self.close()
            raise PublishFailed(error)

    def publish(self, message: Outgoing) -> None:
        """Write one message; its confirm is awaited by `wait_for_confirms`."""
        properties = pika.BasicProperties(
            delivery_mode=2,
            priority=message.priority,
            content_type=message.content_type,
            message_id=message.message_id,
        )
        self._published += 1
        self._unconfirmed[self._published] = message.routing_key
        self._channel.basic_publish(
            message.exchange, message.routing_key, message.body, properties, mandatory=message.mandatory
        )

    def wait_for_confirms(self, seconds: float) -> None:
        """Wait until every message is confirmed, so many seconds for the next confirm. Raises PublishFailed."""
        while left := len(self._unconfirmed):
            if not self.drive(lambda left=left: len(self._unconfirmed) < left, seconds):  # type: ignore[misc]
                raise PublishFailed(self.error or f"{left} confirms missing after {seconds:.0f} s")
        if self._failures:
            failures, self._failures = self._failures, {}
            raise PublishFailed("; ".join(failures.values()), failures)

    def drive(self, done: Callable[[], bool], seconds: float) -> bool:
        """Serve the connection until `done()` is true. Returns False after an error or when the seconds have passed."""
        poll_until(self._loop, lambda: done() or bool(self.error), seconds)
        return done() and not self.error

    def watch(self, fileno: int, readable: Callable[[], None]) -> None:
        """Call back when the file descriptor becomes readable while the connection is driven."""
        self._loop.add_handler(fileno, lambda _fd, _events: readable(), PollEvents.READ)

    def fail(self, error: str) -> None:
        """Note the first error; the connection is of no use after it."""
        self.error = self.error or error

    def close(self) -> None:
        """Close the connection, within a few seconds."""
        connection = self._connection
        if not (connection.is_closed or connection.is_closing):
            connection.close()
            if not poll_until(self._loop, lambda: connection.is_closed, CLOSE_SECONDS):
                # a broker that blocks us reads nothing, not even a close: without this the socket would stay open
                connection._adapter_disconnect_stream()
                poll_until(self._loop, lambda: connection.is_closed, CLOSE_SECONDS)
        self._loop.deactivate_poller()
        self._loop.close()

    def _opened(self, channel: Any) -> None:
        channel.add_on_close_callback(lambda _channel, error: self.fail(describe(error)))
        channel.add_on_return_callback(lambda _channel, method, *_: self._returned(method.routing_key))
        channel.confirm_delivery(self._confirmed, callback=lambda _frame: setattr(self, "_channel", channel))

    def _returned(self, routing_key: str) -> None:
        self._failures[routing_key] = f"no queue for {routing_key!r}"

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        if method.multiple:
            tags = [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
        else:
            tags = [method.delivery_tag] if method.delivery_tag in self._unconfirmed else []
        for tag in tags:
            routing_key = self._unconfirmed.pop(tag)
            if method.NAME != "Basic.Ack":
                self._failures[routing_key] = f"RabbitMQ refused a message for {routing_key!r}"


def poll_until(loop: Any, done: Callable[[], bool], seconds: float) -> bool:
    """Run the loop until `done()` is true or the seconds have passed. Returns `done()`."""
    passed: list[bool] = []
    timer = loop.call_later(seconds, lambda: passed.append(True))  # also ends a poll without events
    try:
        while not (done() or passed):
            loop.poll()
            loop.process_timeouts()
    finally:
        if not passed:
            loop.remove_timeout(timer)
    return done()
