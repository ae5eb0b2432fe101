"""The driver: posts tickets over HTTP, as impatient clients do, and remembers every answer.

Each ticket has an `Idempotency-Key`. A client that gets no answer, or a 5xx, sends the same request again until it is
answered; every tenth one asks only once. So a ticket ends as accepted (202), refused, or unknown, which means
that nobody knows: it may or may not exist.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress

import pika

from tests.access import AUTHORIZATION

#: Seconds that a client goes on asking, and that it waits for one answer.
PATIENCE = 90.0
ANSWER_WITHIN = 15.0
#: Seconds between two tries.
AGAIN_AFTER = 0.25
#: One client in so many asks only once.
GIVES_UP = 10


class Driver:
    """Posts numbered tickets from several threads, spread evenly over some seconds."""

    def __init__(
        self, port: int, tickets: int, *, seconds: float = 0.0, clients: int = 8, mail_every: int = 1, first: int = 1
    ) -> None:
        #: What was answered with 202: the ticket's id by its number.
        self.accepted: dict[int, int] = {}
        #: What RabbitMQ confirmed, of the tickets that were published as messages.
        self.published: set[int] = set()
        #: What was never answered.
        self.unknown: set[int] = set()
        #: What was answered with 4xx.
        self.refused: dict[int, str] = {}
        #: When each answer came, in seconds since the epoch, and its status; 0: none came.
        self.answers: list[tuple[float, int]] = []
        #: Answers 503 that did not say when to ask again.
        self.without_retry_after = 0
        #: How often each number was sent again.
        self.again: Counter[int] = Counter()
        self.numbers = range(first, first + tickets)
        #: Seconds that the slowest answer took.
        self.slowest = 0.0
        self._port = port
        self._mail_every = mail_every
        self._pause = seconds / tickets if tickets else 0.0
        self._lock = threading.Lock()
        self._next: Iterator[tuple[int, int | None]] = enumerate(self.numbers)
        self._enough, self._stop = threading.Event(), threading.Event()
        self._started = time.monotonic()
        self._threads = [threading.Thread(target=self._client, name=f"client-{n}", daemon=True) for n in range(clients)]

    def start(self) -> Driver:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def post(self, number: int) -> None:
        """Post one ticket and wait for its answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_WITHIN)) as connection:
            self._report(connection, number)

    def publish(self, url: str, numbers: Iterable[int]) -> None:
        """Publish tickets as plain JSON to the `tickets` exchange, as another program does, with confirms."""
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for number in numbers:
                properties = pika.BasicProperties(delivery_mode=2, message_id=f"chaos-{number}")
                channel.basic_publish("tickets", "ticket.created", json.dumps(self.ticket(number)).encode(), properties)
                self.published.add(number)

    def ticket(self, number: int) -> dict[str, str]:
        """Return the ticket of a number: from a person of its own, so that none is taken for a duplicate of another."""
        return {
            "title": f"Printer chaos-{number} on floor {number % 7} jams",
            "description": "It says paper jam, but there is no paper in it.",
            "requester": self.requester(number),
        }

    def requester(self, number: int) -> str:
        """Return who reports a ticket: an e-mail address, or a user name, whose notification is in-app."""
        return f"person{number}" + ("@example.com" if number % self._mail_every == 0 else "")

    @property
    def done(self) -> bool:
        """Whether every ticket has its answer or its client stopped asking."""
        return not any(thread.is_alive() for thread in self._threads)

    def finish(self, timeout: float) -> Driver:
        """Wait until every client has its answer."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert self.done, f"clients still wait for an answer after {timeout:g} s"
        return self

    def enough(self) -> None:
        """Post no further ticket; the clients go on asking about those that were posted."""
        self._enough.set()

    def close(self) -> None:
        """Have the clients stop asking; what they still wait for is unknown."""
        self._enough.set()
        self._stop.set()
        self.finish(ANSWER_WITHIN + 5)

    def _client(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_WITHIN)) as connection:
            while not self._stop.is_set():
                with self._lock:
                    place, number = next(self._next, (0, None))
                if number is None:
                    return
                if self._enough.wait(max(0.0, self._started + place * self._pause - time.monotonic())):
                    return
                self._report(connection, number)

    def _report(self, connection: http.client.HTTPConnection, number: int) -> None:
        patience = 0.0 if number % GIVES_UP == 0 else PATIENCE
        deadline = time.monotonic() + patience
        while not self._ask(connection, number):
            if time.monotonic() >= deadline or self._stop.wait(AGAIN_AFTER):
                self.unknown.add(number)
                return
            self.again[number] += 1

    def _ask(self, connection: http.client.HTTPConnection, number: int) -> bool:
        """Send the request once. Returns whether the answer is final."""
        body = json.dumps(self.ticket(number))
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"chaos-{number}"} | AUTHORIZATION
        asked = time.monotonic()
        try:
            connection.request("POST", "/tickets", body, headers)
            with connection.getresponse() as response:
                answer = response.read()
        except (OSError, http.client.HTTPException):
            self.answers.append((time.time(), 0))
            with suppress(OSError):
                connection.close()  # the next request opens a new one
            return False
        self.answers.append((time.time(), response.status))
        self.without_retry_after += response.status == 503 and "Retry-After" not in response.headers
        self.slowest = max(self.slowest, time.monotonic() - asked)
        if response.status == 202:
            self.accepted[number] = json.loads(answer)["id"]
        elif response.status < 500:
            self.refused[number] = f"{response.status} {answer[:200]!r}"
        return response.status < 500
