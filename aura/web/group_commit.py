"""Accepting tickets over HTTP, many at a time: requests that wait at the same moment share one transaction.

1. A request joins the line and waits for its answer. There is no waiting for a batch to fill: a ticket alone goes at once.
2. A writer takes everybody who waits (BATCH at most), stores their tickets, their idempotency keys and the promises of
   their journeys in one transaction, and answers each. Two writers take turns, so that one collects while one commits.
3. If the transaction fails because of one of them, each is tried alone: the culprit gets the error, nobody else does.
4. When somebody has waited for a second, or the line is longer than what is ever stored in one, the next request is turned
   away: 503, Retry-After; by `aura.web.load_shedding`, before anything of it is read.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from aura.errors import Conflict, InvalidInput, Overloaded
from aura.jobs.actor import KEYS_LOGGED
from db import idempotency, tickets, traces, transaction
from db.idempotency import KeyUse
from db.migrate import LOCK_NOT_AVAILABLE
from db.new_tickets import NewTicket
from pipelines.triage import triage

logger = structlog.get_logger("aura.web")

SOURCE = "http"
#: Requests of one transaction, transactions at a time, and requests that wait in line.
BATCH, WRITERS, LINE = 200, 2, 500
#: Seconds that somebody has waited for the answer when the next are turned away.
LONGEST_WAIT = 1.0
#: Seconds to wait for another process that works on a request with the same Idempotency-Key.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A ticket that somebody reports, with the payload as it came."""

    submission: NewTicket
    payload: dict[str, Any]
    #: The Idempotency-Key with what tells the request from others under it.
    use: KeyUse | None = None
    #: The span of its request.
    traceparent: str | None = field(default_factory=traces.current.get)


class TooMany(Overloaded):
    """More requests wait than will be answered in time."""


class KeyUsedBefore(InvalidInput):
    """The Idempotency-Key came with another body before."""


class InProgress(Conflict):
    """Another process works on a request with this Idempotency-Key, and takes long."""


Answer = int | Exception


class TicketWriter:
    """The line of one web process."""

    def __init__(self, batch: int = BATCH, writers: int = WRITERS, line: int = LINE) -> None:
        self._batch, self._writers, self._most = batch, writers, line
        self._line: deque[tuple[CreateRequest, asyncio.Future[int]]] = deque()
        self._writing: set[asyncio.Task[None]] = set()
        #: Since when each has waited for the answer, the longest first.
        self._asked: dict[asyncio.Future[int], float] = {}
        #: How many requests were taken out of the line.
        self.begun = 0

    @property
    def full(self) -> bool:
        """Whether the next request would wait too long."""
        longest = next(iter(self._asked.values()), None)
        return len(self._line) >= self._most or (longest is not None and time.monotonic() - longest > LONGEST_WAIT)

    async def accept(self, report: CreateRequest) -> int:
        """Store the ticket and start its journey. Returns its id, that of the earlier ticket if it is known.

        Raises TooMany, KeyUsedBefore, SQLAlchemyError.
        """
        if self.full:
            raise TooMany
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked[answer] = time.monotonic()
        self._line.append((report, answer))
        if len(self._writing) < self._writers:
            writer = asyncio.create_task(self._write())
            self._writing.add(writer)
            writer.add_done_callback(self._writing.discard)
        try:
            return await answer
        finally:
            del self._asked[answer]

    async def _write(self) -> None:
        while self._line:
            if not (waiting := self._next()):
                continue
            try:
                answers = await run_in_threadpool(store, [report for report, _ in waiting])
            except BaseException as error:
                # also when the process stops: nobody may wait for ever
                answers = [error if isinstance(error, Exception) else RuntimeError("the server stops")] * len(waiting)
                if not isinstance(error, Exception):
                    _answer(waiting, answers)
                    raise
            _answer(waiting, answers)

    def _next(self) -> list[tuple[CreateRequest, asyncio.Future[int]]]:
        """Take those who wait, each Idempotency-Key once: the second one must see what became of the first."""
        taken: list[tuple[CreateRequest, asyncio.Future[int]]] = []
        later: list[tuple[CreateRequest, asyncio.Future[int]]] = []
        keys: set[str] = set()
        while self._line and len(taken) < self._batch:
            report, answer = self._line.popleft()
            if answer.cancelled():
                continue  # whoever asked has hung up before it was begun
            if report.use is not None and report.use.key in keys:
                later.append((report, answer))
                continue
            keys |= {report.use.key} if report.use is not None else set()
            taken.append((report, answer))
        self._line.extendleft(reversed(later))
        self.begun += len(taken)
        return taken


def _answer(waiting: Sequence[tuple[CreateRequest, asyncio.Future[int]]], answers: Sequence[Answer]) -> None:
    for (_, future), answer in zip(waiting, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def store(reports: Sequence[CreateRequest]) -> list[Answer]:
    """Store the tickets in one transaction, or each in its own when that fails; returns an id or an error for each."""
    try:
        return _store(reports)
    except SQLAlchemyError as error:
        if _locked(error):
            if len(reports) == 1:
                return [InProgress()]
        elif isinstance(error, OperationalError | InterfaceError):
            return [error] * len(reports)  # the database is away, for all of them
        if len(reports) == 1:
            return [error]
        logger.warning("tickets that could not be stored together are stored one by one", tickets=len(reports))
        return [answer for report in reports for answer in store([report])]


def _locked(error: SQLAlchemyError) -> bool:
    return getattr(getattr(error, "orig", None), "pgcode", None) == LOCK_NOT_AVAILABLE


def _store(reports: Sequence[CreateRequest]) -> list[Answer]:
    answers: list[Answer | None] = [None] * len(reports)
    with transaction() as session:
        known = idempotency.reserve(session, [report.use for report in reports if report.use is not None], PATIENCE)
        for place, report in enumerate(reports):
            earlier = known.get(report.use.key) if report.use is not None else None
            if earlier is not None and report.use is not None:
                same = earlier.fingerprint == report.use.fingerprint
                answers[place] = earlier.ticket_id if same else KeyUsedBefore(report.use.key)
        places = [place for place, answer in enumerate(answers) if answer is None]
        chosen = [reports[place] for place in places]
        stored = tickets.create_each(session, SOURCE, [(report.submission, report.payload) for report in chosen])
        requests = {ticket: report.traceparent for (ticket, new), report in zip(stored, chosen, strict=True) if new}
        triage.send_many(requests, traces=requests)
        for place, (ticket_id, _) in zip(places, stored, strict=True):
            answers[place] = ticket_id
        idempotency.record_tickets(
            session,
            {
                report.use.key: ticket
                for (ticket, _), report in zip(stored, chosen, strict=True)
                if report.use is not None
            },
        )
    if requests:
        named = list(requests)[:KEYS_LOGGED]
        known_traces = [traces.trace_of(requests[ticket]) for ticket in named]
        # in the words of the workers' lines, so that one search finds a ticket's whole way
        logger.info("accepted", tickets=[str(ticket) for ticket in named], traces=known_traces)
    return [answer for answer in answers if answer is not None]
