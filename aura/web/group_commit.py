"""Group commit: requests that create tickets at the same moment share one transaction.

1. A request is queued and awaits its result. Nothing waits for a batch to fill: a single ticket is stored immediately.
2. A writer takes all queued requests (at most `batch`), stores their tickets, idempotency keys and jobs in one transaction,
   and answers each request. Two writers take turns: one collects while the other commits.
3. If the transaction fails because of one request, each is stored alone: that request gets the error, the others do not.
4. When a request has waited for a second, or the queue is full, the next ones are refused with 503 and Retry-After, by
   `aura.web.load_shedding` before they are read.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog
from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.errors import Conflict, Overloaded
from aura.jobs.actor import KEYS_LOGGED
from db import idempotency, tickets, traces, transaction
from db.fair_shares import share_of
from db.idempotency import KeyUse
from db.new_tickets import NewTicket
from db.postgresql import LOCK_NOT_AVAILABLE
from db.text import storable
from db.tickets import Created
from db.unavailable import is_unavailable
from pipelines.triage import triage

logger = structlog.get_logger("aura.web")

SOURCE = "http"
#: Requests of one transaction, concurrent transactions, and requests that may be queued.
BATCH, WRITERS, QUEUE_SIZE = 200, 2, 500
#: Bytes of the bodies of one transaction: to store them takes twenty times as much memory.
BATCH_BYTES = 1_000_000
#: Seconds that the oldest request may wait before the next ones are refused.
MAX_WAIT = 1.0
#: Seconds to wait for another process that works on a request with the same Idempotency-Key.
LOCK_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A validated ticket with the payload that it was read from."""

    ticket: NewTicket
    payload: dict[str, Any]
    #: The Idempotency-Key and the fingerprint of the body, if the request has a key.
    use: KeyUse | None = None
    #: Who sends it; external ids and keys are those of the client.
    client: str = ""
    #: Bytes of its body.
    size: int = 0
    #: The span of the request.
    traceparent: str | None = field(default_factory=traces.current.get)


class UsedWithAnotherBody(Conflict):
    """The Idempotency-Key or the external_id names a ticket that was created from another body."""

    def __init__(self, message: str, ticket_id: int, differs: Sequence[str]) -> None:
        fields = ", ".join(storable(name)[:80] for name in differs[:10])
        super().__init__(message + (f"; the bodies differ in {fields}" if fields else "") + "; nothing was stored")
        self.members = {"ticket_id": ticket_id, "differs": [storable(name)[:80] for name in differs[:10]]}


class RequestInProgress(Conflict):
    """Another process works on a request with this Idempotency-Key."""

    retry_after = 1.0

    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is in progress; repeat it to get its answer")


def queue_full() -> Overloaded:
    """Return the error of a request that is refused because too many wait."""
    return Overloaded("too many tickets wait to be stored; this one was not, so send it again", retry_after=1.0)


#: The ticket's id, or why it was not stored.
Result = int | Exception


class _Queued(NamedTuple):
    request: CreateRequest
    result: asyncio.Future[int]


class TicketWriter:
    """The queue and the writers of one web process."""

    def __init__(self, batch: int = BATCH, writers: int = WRITERS, queue_size: int = QUEUE_SIZE) -> None:
        self._batch, self._max_writers, self._queue_size = batch, writers, queue_size
        self._queue: deque[_Queued] = deque()
        self._writers: set[asyncio.Task[None]] = set()
        self._threads = CapacityLimiter(writers)
        #: When each unanswered request came, the oldest first.
        self._since: dict[asyncio.Future[int], float] = {}
        #: How many requests were taken from the queue.
        self.begun = 0

    @property
    def full(self) -> bool:
        """Whether the next request would wait too long."""
        oldest = next(iter(self._since.values()), None)
        return len(self._queue) >= self._queue_size or (oldest is not None and time.monotonic() - oldest > MAX_WAIT)

    async def create(self, request: CreateRequest) -> int:
        """Store the ticket and start its pipeline. Returns its id; the same request again gives the earlier one.

        Raises Overloaded, UsedWithAnotherBody, RequestInProgress, SQLAlchemyError.
        """
        if self.full:
            raise queue_full()
        result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._since[result] = time.monotonic()
        self._queue.append(_Queued(request, result))
        if len(self._writers) < self._max_writers:
            writer = asyncio.create_task(self._write())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        try:
            return await result
        finally:
            del self._since[result]

    async def _write(self) -> None:
        while self._queue:
            if not (queued := self._next_batch()):
                continue
            try:
                requests = [each.request for each in queued]
                # threads of their own: slow requests must not keep new tickets waiting
                results = await to_thread.run_sync(store, requests, limiter=self._threads)
            except BaseException as error:
                # at shutdown too, no request may wait forever
                results = [error if isinstance(error, Exception) else RuntimeError("the server stops")] * len(queued)
                if not isinstance(error, Exception):
                    _resolve(queued, results)
                    raise
            _resolve(queued, results)

    def _next_batch(self) -> list[_Queued]:
        """Take requests from the queue, one for each Idempotency-Key: a second one must see the result of the first."""
        batch: list[_Queued] = []
        postponed: list[_Queued] = []
        keys: set[str] = set()
        size = 0
        while self._queue and len(batch) < self._batch:
            if batch and size + self._queue[0].request.size > BATCH_BYTES:
                break
            queued = self._queue.popleft()
            if queued.result.cancelled():
                continue  # the client disconnected before its ticket was begun
            key = queued.request.use.key if queued.request.use is not None else None
            if key in keys:
                postponed.append(queued)
                continue
            keys |= {key} if key is not None else set()
            batch.append(queued)
            size += queued.request.size
        self._queue.extendleft(reversed(postponed))
        self.begun += len(batch)
        return batch


def _resolve(queued: Sequence[_Queued], results: Sequence[Result]) -> None:
    for (_, future), result in zip(queued, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def store(requests: Sequence[CreateRequest]) -> list[Result]:
    """Store the tickets in one transaction, or each in its own when that fails. Returns an id or an error for each."""
    try:
        return _store(requests)
    except SQLAlchemyError as error:
        if _is_lock_timeout(error):
            if len(requests) == 1:
                return [RequestInProgress()]
        elif is_unavailable(error):
            return [error] * len(requests)
        if len(requests) == 1:
            return [error]
        logger.warning("tickets stored one by one", tickets=len(requests))
        return [result for request in requests for result in store([request])]


def _is_lock_timeout(error: SQLAlchemyError) -> bool:
    return getattr(getattr(error, "orig", None), "pgcode", None) == LOCK_NOT_AVAILABLE


def _store(requests: Sequence[CreateRequest]) -> list[Result]:
    results: list[Result | None] = [None] * len(requests)
    with transaction() as session:
        used = idempotency.reserve(session, [each.use for each in requests if each.use is not None], LOCK_TIMEOUT)
        for place, request in enumerate(requests):
            earlier = used.get(request.use.key) if request.use is not None else None
            if earlier is not None and request.use is not None:
                same = earlier.fingerprint == request.use.fingerprint
                results[place] = earlier.ticket_id if same else _key_used(session, request, earlier.ticket_id)
        places = [place for place, result in enumerate(results) if result is None]
        new = [requests[place] for place in places]
        submissions = [(each.ticket, each.payload) for each in new]
        stored = tickets.create_once(session, SOURCE, submissions, [each.client for each in new])
        traceparents = {ticket.id: each.traceparent for ticket, each in zip(stored, new, strict=True) if ticket.is_new}
        shares = {
            ticket.id: share_of(f"{SOURCE}:{each.client}", each.ticket.requester)
            for ticket, each in zip(stored, new, strict=True)
        }
        triage.send_many(traceparents, traces=traceparents, shares=shares)
        for place, ticket in zip(places, stored, strict=True):
            results[place] = _id_used(ticket) if ticket.differs else ticket.id
        with_key = {each.use.key: ticket for ticket, each in zip(stored, new, strict=True) if each.use is not None}
        idempotency.record_tickets(session, {key: each.id for key, each in with_key.items() if not each.differs})
        idempotency.release(session, [key for key, each in with_key.items() if each.differs])
    if traceparents:
        logged = list(traceparents)[:KEYS_LOGGED]
        # the same fields as in the log lines of workers, so that one search finds all lines about a ticket
        logger.info(
            "tickets created",
            tickets=[str(ticket) for ticket in logged],
            traces=[traces.trace_of(traceparents[ticket]) for ticket in logged],
        )
    return [result for result in results if result is not None]


def _id_used(ticket: Created) -> UsedWithAnotherBody:
    message = (
        f"this external_id is that of ticket {ticket.id}, which has another body: "
        "send another external_id for another ticket, or change the existing one"
    )
    return UsedWithAnotherBody(message, ticket.id, ticket.differs)


def _key_used(session: Session, request: CreateRequest, ticket_id: int) -> UsedWithAnotherBody:
    """Return the error of a key that was used before, with the ticket of the request's external_id if that is another."""
    original = tickets.originals(session, [ticket_id]).get(ticket_id)
    differs = tickets.differences(original, json.dumps(request.payload, default=str)) if original is not None else ()
    message = f"this Idempotency-Key was used for ticket {ticket_id} with another body: use a new key"
    external_id = request.ticket.external_id
    other = tickets.find(session, SOURCE, external_id, request.client) if external_id is not None else None
    if other not in (None, ticket_id):
        message += f"; its external_id is that of ticket {other}"
    return UsedWithAnotherBody(message, ticket_id, differs)
