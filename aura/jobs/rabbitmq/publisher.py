"""Publishing to RabbitMQ with pipelined confirms, on one connection that the caller's thread drives.

Everything of a batch is written at once and then every confirm is awaited, which is about ten times faster than one
by one. Any nack, return, block, loss or timeout fails the whole batch: the caller keeps it and tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop, PollEvents, SelectConnection

from aura.jobs.rabbitmq import topology
from aura.jobs.transport import Outgoing, PublishFailed
from aura.settings import Settings, SettingsError, first_line

logger = logging.getLogger(__name__)

#: Seconds to wait for a connection, and for the confirms of one batch.
CONNECT_SECONDS = 10.0
CONFIRM_SECONDS = 15.0
#: Most messages of a dead-letter queue that are taken at one look: hints wait meanwhile.
MOST_DRAINED = 1000
#: Seconds that an orderly good-bye may take.
CLOSE_SECONDS = 2.0


def parameters(settings: Settings) -> pika.URLParameters:
    """Return connection parameters with a heartbeat, and with a bound on how long a full broker may block us."""
    assert settings.rabbitmq_url is not None
    try:
        params = pika.URLParameters(settings.rabbitmq_url.get_secret_value())
    except (ValueError, TypeError):
        # outside its own words, which quote the URL
        raise SettingsError("RABBITMQ_URL: an option behind the ? has a value that is not understood") from None
    params.heartbeat = 10  # seconds; a connection that died in silence is noticed after two or three
    params.blocked_connection_timeout = 20
    params.socket_timeout = CONNECT_SECONDS
    params.stack_timeout = CONNECT_SECONDS
    params.connection_attempts = 1
    params.client_properties = {"connection_name": "aura"}
    return params


class Publisher:
    """One connection in confirm mode; not for sharing between threads."""

    def __init__(self, settings: Settings, queues: Callable[[], Sequence[str]]) -> None:
        self._settings = settings
        self._queues = queues
        self._connection: SelectConnection | None = None
        self._channel: Any = None
        self._loop: Any = None
        self._pending: set[int] = set()
        self._published = 0
        self._trouble = ""
        self._watched: dict[int, Callable[[], None]] = {}

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Publish the batch and wait for every confirm. Raises PublishFailed; then nothing of it counts."""
        if self._channel is None:
            self._connect()
        for message in batch:
            properties = pika.BasicProperties(
                delivery_mode=2,
                priority=message.priority,
                content_type=message.content_type,
                message_id=message.message_id,
            )
            self._published += 1
            self._pending.add(self._published)
            self._channel.basic_publish(
                message.exchange, message.routing_key, message.body, properties, mandatory=message.mandatory
            )
            if self._trouble:
                break
        if not self._drive(lambda: not self._pending, CONFIRM_SECONDS):
            trouble = self._trouble or f"{len(self._pending)} confirms missing after {CONFIRM_SECONDS:.0f} s"
            self.close()
            raise PublishFailed(trouble)

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Serve heartbeats until `woken()` is true or the seconds have passed; may come back earlier."""
        if self._channel is None:
            self._connect()
        self._drive(woken, seconds)
        if self._trouble:
            trouble = self._trouble
            self.close()
            raise PublishFailed(trouble)

    def watch(self, fileno: int, readable: Callable[[], None]) -> None:
        """Call back when the file descriptor becomes readable while we wait; kept across reconnects."""
        self._watched[fileno] = readable
        if self._loop is not None:
            self._add_handler(fileno, readable)

    def unwatch(self, fileno: int, trouble: str) -> None:
        """Forget a file descriptor that went bad; the wait it was watched in fails, for its loop cannot go on."""
        self._watched.pop(fileno, None)
        self._broke(trouble)

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many messages wait, ready, in each queue. Raises PublishFailed when the broker is away."""
        try:
            with pika.BlockingConnection(parameters(self._settings)) as connection:
                channel = connection.channel()
                return {queue: channel.queue_declare(queue, passive=True).method.message_count for queue in queues}
        except (pika.exceptions.AMQPError, OSError) as error:
            self.close()  # a queue that is gone is declared again by the next connection
            raise PublishFailed(describe(error)) from None

    def drain(self, queues: Sequence[str], keep: Callable[[str, bytes, str], None]) -> int:
        """Give the messages of the queues' dead-letter queues to `keep`, each with its reason, and ack it when that returns.

        Returns how many were taken, at most MOST_DRAINED of a queue. Raises PublishFailed when the broker is away, and
        whatever `keep` raises.
        """
        count = 0
        try:
            with pika.BlockingConnection(parameters(self._settings)) as connection:
                channel = connection.channel()
                for queue in queues:
                    dead = topology.dead_letter_queue(queue)
                    waiting = channel.queue_declare(dead, passive=True).method.message_count
                    for _ in range(min(waiting, MOST_DRAINED)):
                        method, properties, body = channel.basic_get(dead)
                        if method is None:
                            break
                        keep(queue, body, topology.reason_of_death(properties.headers))
                        channel.basic_ack(method.delivery_tag)
                        count += 1
        except (pika.exceptions.AMQPError, OSError) as error:
            self.close()
            raise PublishFailed(describe(error)) from None
        return count

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        connection, loop = self._connection, self._loop
        self._connection = self._channel = self._loop = None
        self._pending.clear()
        self._published = 0
        self._trouble = ""
        if connection is None or loop is None:
            return
        if not (connection.is_closed or connection.is_closing):
            connection.close()
            if not _poll_until(loop, lambda: connection.is_closed, CLOSE_SECONDS):
                # a broker that blocks us reads nothing, no good-bye either: without this the socket would stay open
                connection._adapter_disconnect_stream()
                _poll_until(loop, lambda: connection.is_closed, CLOSE_SECONDS)
        self._trouble = ""  # that it closed is no trouble for the next one
        loop.deactivate_poller()
        loop.close()

    def _connect(self) -> None:
        try:
            with pika.BlockingConnection(parameters(self._settings)) as connection:
                channel = connection.channel()
                for queue in self._queues():
                    topology.declare(channel, queue, self._settings)
                topology.declare_exchanges(channel)
        except (pika.exceptions.AMQPError, OSError) as error:
            raise PublishFailed(describe(error)) from None
        self._loop = IOLoop()
        self._loop.activate_poller()
        for fileno, readable in self._watched.items():
            self._add_handler(fileno, readable)
        self._connection = SelectConnection(
            parameters(self._settings),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda _connection, error: self._broke(describe(error)),
            on_close_callback=lambda _connection, error: self._broke(describe(error)),
            custom_ioloop=self._loop,
        )
        self._connection.add_on_connection_blocked_callback(lambda *_: self._broke("RabbitMQ blocks publishers"))
        if not self._drive(lambda: self._channel is not None, CONNECT_SECONDS):
            trouble = self._trouble or "no answer from RabbitMQ"
            self.close()
            raise PublishFailed(trouble)

    def _opened(self, channel: Any) -> None:
        channel.add_on_close_callback(lambda _channel, error: self._broke(describe(error)))
        channel.add_on_return_callback(lambda _channel, method, *_: self._broke(f"no queue for {method.routing_key!r}"))
        channel.confirm_delivery(self._confirmed, callback=lambda _frame: setattr(self, "_channel", channel))

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        if method.NAME != "Basic.Ack":
            self._broke("RabbitMQ refused a message")
        elif method.multiple:
            self._pending = {tag for tag in self._pending if tag > method.delivery_tag}
        else:
            self._pending.discard(method.delivery_tag)

    def _broke(self, trouble: str) -> None:
        self._trouble = self._trouble or trouble

    def _drive(self, done: Callable[[], bool], seconds: float) -> bool:
        _poll_until(self._loop, lambda: done() or bool(self._trouble), seconds)
        return done() and not self._trouble

    def _add_handler(self, fileno: int, readable: Callable[[], None]) -> None:
        self._loop.add_handler(fileno, lambda _fd, _events: readable(), PollEvents.READ)


def _poll_until(loop: Any, done: Callable[[], bool], seconds: float) -> bool:
    deadline = _Deadline(loop, seconds)
    try:
        while not (done() or deadline.passed):
            loop.poll()
            loop.process_timeouts()
    finally:
        deadline.cancel()
    return done()


class _Deadline:
    """A timer on the loop that also wakes its poll."""

    def __init__(self, loop: Any, seconds: float) -> None:
        self.passed = False
        self._loop = loop
        self._handle = loop.call_later(seconds, self._pass)

    def _pass(self) -> None:
        self.passed = True

    def cancel(self) -> None:
        if not self.passed:
            self._loop.remove_timeout(self._handle)


def describe(error: BaseException) -> str:
    """Return the error in one line; pika leaves many messages empty, and none may hold the URL's password."""
    return f"RabbitMQ: {first_line(error)[:200]}"
