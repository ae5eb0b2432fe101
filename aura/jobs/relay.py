"""The relay: dispatches due jobs as hints, and publishes events.

1. Read what is due, and plan (`aura.jobs.relay_plan`).
2. Mark the jobs as dispatched, locked so that several relays share the work, and commit.
3. Publish hints of at most one batch each, and wait for every confirm. On an error release the jobs: they are due again. A
   relay that dies in between leaves lost hints, which are found. An event is deleted when it is confirmed.
4. Wait for new jobs (PostgreSQL's NOTIFY, or an event in this process), half a second at most; two seconds, or until the next
   job is due, while no job is due and NOTIFY is known to arrive. Then one statement reads whether there is still nothing to do.
5. Between the rounds, repair (`aura.jobs.maintenance`).

Only a bounded window of jobs is inside the broker: the backlog, and the true order, stay in the database.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.jobs import heartbeat, metrics, process_state
from aura.jobs.backoff import backoff
from aura.jobs.logs import configure_logging
from aura.jobs.maintenance import Maintenance
from aura.jobs.rabbitmq.topology import Route
from aura.jobs.relay_plan import ROUND, ActorState, Bucket, State, plan
from aura.jobs.transport import Outgoing, PublishFailed, Transport
from aura.jobs.turns import Turns
from aura.jobs.worker_modules import MODULES_VARIABLE
from aura.settings import Settings, first_line, get_settings
from db import hints, outbox, queue_controls, reading, transaction, workers
from db.database import one_statement
from db.hints import Dispatched
from db.outbox import Event

logger = structlog.get_logger("aura.relay")

#: Seconds: the longest wait for new jobs, the wait while jobs gather or the window is full, and between two heartbeats.
NAP, GATHERING_NAP, FULL_NAP, BEAT_EVERY = 0.5, 0.02, 0.05, 3.0
#: Seconds: the longest wait while no job is due and NOTIFY is known to arrive, and the shortest until the next job is due.
IDLE_NAP, LEAST_NAP = 2.0, 0.01
#: The part of each dispatch for the jobs that are due the longest.
OLDEST = 0.25
#: Seconds: the first and the longest pause after an error.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
#: Seconds for which a queue gets no hints after RabbitMQ refused one for it, so that it does not hold up the others.
REFUSED_PAUSE = 10.0


class _Actor(NamedTuple):
    queue: str
    batch: int
    route: Route
    asynchronous: bool


class Relay:
    """One relay; any number may run beside each other."""

    def __init__(self, broker: Any, transport: Transport, settings: Settings | None = None) -> None:
        self._broker = broker
        self._transport = transport
        self._settings = settings or get_settings()
        self._topology = broker.program.topology
        #: The exchange of events; None leaves them in the outbox.
        self._events = self._topology.events if self._settings.events and not self._settings.embedded else None
        self._known: dict[str, _Actor] = {}
        self._id = uuid.uuid4().hex
        self._suspects_at = float("-inf")
        self._turns = Turns()
        #: Queues that refused a hint, with the time until which they get none, by the monotonic clock.
        self._refused: dict[str, float] = {}
        self.more = self.gathering = self.full = False
        #: Whether notifications of new jobs arrive, and the seconds to wait after a round that found nothing more.
        self.notified, self.nap = False, NAP
        #: Whether the last round found nothing, and whether a notification arrived since.
        self._quiet, self._woken = False, True
        #: Jobs that the database may hold as dispatched though their hints were not published.
        self._unpublished: list[int] = []
        #: What keeps the relay from publishing; the heartbeat stores it for health checks.
        self._problem = ""
        self.maintenance = Maintenance(broker, transport, self._settings)

    # -- one round

    def round(self) -> int:
        """Dispatch due jobs and publish events, once. Returns how many jobs and events were published."""
        self.more = self.gathering = self.full = False
        self.nap = NAP
        if self._unpublished:
            with transaction() as session:
                hints.release(session, self._unpublished)
            self._unpublished = []
        if self._quiet and self.notified and not self._woken and self._still_quiet():
            return 0
        with reading() as session:  # takes no write lock
            due = hints.due_buckets(session, self._broker.actors)
            exchange = self._events if self._events is not None and outbox.any_waiting(session) else None
            self._quiet = not due and exchange is None
            if self.notified and self._quiet:
                self.nap = idle_nap(hints.seconds_until_due(session, self._broker.actors))
        return (self._dispatch(due) if due else 0) + (0 if exchange is None else self._publish_events(exchange))

    def _still_quiet(self) -> bool:
        """Return whether there is still nothing to do, by one statement, and wait for what is next."""
        with reading() as session:
            until_due, event = hints.next_work(session, self._broker.actors)
        self.nap = idle_nap(until_due)
        return not event and until_due != 0

    def _dispatch(self, due: Sequence[tuple[str, int]]) -> int:
        # committed before it is published: a worker that has the hint at once must not wait for the broker's confirm
        batch: list[tuple[Outgoing, list[int]]] = []
        try:
            with transaction() as session:
                batch = self._mark(session, due)
        except SQLAlchemyError:
            # the connection may have failed after the commit; else this costs some duplicates
            self._unpublished = [each for _, ids in batch for each in ids]
            raise
        if not batch:
            return 0
        try:
            self._transport.publish([message for message, _ in batch])
        except BaseException as error:
            failed = error.routing_keys if isinstance(error, PublishFailed) else frozenset[str]()
            self._refused |= dict.fromkeys(failed, time.monotonic() + REFUSED_PAUSE)
            unpublished = [ids for message, ids in batch if not failed or message.routing_key in failed]
            self._unpublished = [each for ids in unpublished for each in ids]
            with transaction() as session:  # if this fails too, the next round does it
                hints.release(session, self._unpublished)
            self._unpublished = []
            raise
        return sum(len(ids) for _, ids in batch)

    def _publish_events(self, exchange: str) -> int:
        with transaction() as session:
            events = outbox.dispatch(session, ROUND)
            self._transport.publish([cloud_event(event, exchange) for event in events])
        self.more = self.more or len(events) == ROUND
        return len(events)

    def _mark(self, session: Session, due: Sequence[tuple[str, int]]) -> list[tuple[Outgoing, list[int]]]:
        """Mark due jobs as dispatched, as planned; return their hints, each with the ids of its jobs."""
        state = self._read(session, due)
        batch: list[tuple[Outgoing, list[int]]] = []
        while steps := plan(state):
            step = steps[0]
            actor, priority = step.actor, step.priority
            if step.suspects:
                self._suspects_at = time.monotonic()
                found = hints.dispatch_suspect(session, step.suspects)
                dispatched = [Dispatched(found[0], True, 0.0)] if found else []
                actor, priority = found[1:] if found else (actor, priority)
            else:
                dispatched = self._take(session, actor, priority, step.limit)
                self.more = self.more or len(dispatched) >= step.limit * OLDEST
                if dispatched:
                    metrics.HINTED.labels(actor).inc(len(dispatched))
                    metrics.HINT_WAIT.labels(actor).observe(max(job.waited for job in dispatched))
            state = state.after(step, len(dispatched))
            if dispatched:
                batch += self._hints(actor, priority, dispatched)
        self.full = not batch and state.window_full()
        return batch

    def _take(self, session: Session, actor: str, priority: int, limit: int) -> list[Dispatched]:
        """Mark due jobs as dispatched: a part of the limit the longest due, so that none waits forever, the others in turn.

        Fewer than that part are all that is due, so without a backlog this is one statement.
        """
        oldest = int(limit * OLDEST + random.random())  # on average, for a limit of 1 too
        found = hints.dispatch(session, actor, priority, oldest) if oldest else []
        if len(found) < oldest or oldest == limit:
            return found
        found = hints.interleaved(found + self._turns.dispatch(session, actor, priority, limit - oldest))
        return found or hints.dispatch(session, actor, priority, limit)

    def _read(self, session: Session, due: Sequence[tuple[str, int]]) -> State:
        """Return the state to plan from; locks the limits, for two relays must not both use the same room."""
        controls = process_state.queue_controls(session)
        limits = {name: each.limit for name, each in controls.items() if each.limit is not None and not each.paused}
        if limits:
            queue_controls.lock(session)
        inside = hints.in_flight(session)
        running = hints.running(session) if limits else {}
        actors = {
            name: ActorState(actor.queue, actor.batch, inside.get(name, 0), running.get(name, 0), actor.asynchronous)
            for name, actor in self._actors().items()
        }
        state = State(
            [Bucket(actor, priority, full=False) for actor, priority in due],
            actors,
            self._settings.max_in_flight,
            frozenset(name for name, each in controls.items() if each.paused) | self._refusing(),
            limits,
            time.monotonic() - self._suspects_at,
        )
        busy = {name for name, each in actors.items() if 1 < each.batch <= each.inside}
        if not busy.intersection(actor for actor, _ in due):
            return state
        return replace(state, buckets=[self._measured(session, state, bucket) for bucket in state.buckets])

    def _refusing(self) -> set[str]:
        """Return the queues that get no hints for the moment, because RabbitMQ refused one for them."""
        self._refused = {queue: until for queue, until in self._refused.items() if until > time.monotonic()}
        return set(self._refused)

    def _actors(self) -> dict[str, _Actor]:
        """Return the queue, the batch size and the route of each actor, which do not change."""
        if self._known.keys() != self._broker.actors.keys():
            self._known = {
                name: _Actor(
                    actor.queue_name,
                    actor.batch_size(self._settings),
                    self._topology.hint_route(actor.queue_name),
                    actor.slot_access() is not None,
                )
                for name, actor in self._broker.actors.items()
            }
        return self._known

    def _measured(self, session: Session, state: State, bucket: Bucket) -> Bucket:
        """Return the bucket with its size and age, if it may gather."""
        if not state.gathers(bucket):
            return bucket
        full, waited = hints.gathered(session, bucket.actor, bucket.priority, state.actors[bucket.actor].batch)
        bucket = replace(bucket, full=full, waited=waited)
        self.gathering = self.gathering or (state.gathers(bucket) and state.room(bucket.actor) > 0)
        return bucket

    def _hints(self, name: str, priority: int, dispatched: Sequence[Dispatched]) -> list[tuple[Outgoing, list[int]]]:
        """Return hints of at most one batch each; a job that was tried before goes alone."""
        actor, size, route = self._broker.actors[name], self._known[name].batch, self._known[name].route
        fresh = [job.id for job in dispatched if not job.tried]
        batches = [fresh[start : start + size] for start in range(0, len(fresh), size)]
        batches += [[job.id] for job in dispatched if job.tried]
        return [
            (
                Outgoing(route.exchange, route.routing_key, actor.message_with_options(args=(ids,)).encode(), priority),
                ids,
            )
            for ids in batches
        ]

    # -- the loop

    def run(
        self,
        stop: threading.Event,
        woken: Callable[[], bool] = lambda: False,
        notified: Callable[[], bool] = lambda: False,
    ) -> None:
        """Relay until stopped; an error of a service is logged and tried again after a growing pause.

        `woken` says whether new jobs were enqueued, `notified` whether it is known to say so.
        """
        failures = 0
        heart = heartbeat.HeartbeatThread(self.beat, BEAT_EVERY, "relay-heartbeat")
        heart.start()
        try:
            while not stop.is_set():
                try:
                    if failures:
                        # before jobs are marked: while RabbitMQ takes no message they stay due, so that their age shows
                        self._transport.open()
                    self.notified = notified()
                    self._once(stop, woken)
                    self._problem = "; ".join(f"{name}: {why}" for name, why in self._transport.problems.items())
                    if failures:
                        logger.info("relay recovered", failures=failures)
                    failures = 0
                except Exception as error:
                    # whatever it is, the relay must go on: nothing else dispatches jobs
                    failures += 1
                    self._problem = first_line(error)
                    pause = backoff(failures, FIRST_PAUSE, LONGEST_PAUSE)
                    expected = isinstance(error, PublishFailed | SQLAlchemyError)
                    logger.warning(
                        "relay failed",
                        error=first_line(error),
                        retry_in=round(pause, 1),
                        exc_info=None if expected else error,
                    )
                    self._transport.close()
                    stop.wait(pause)
        finally:
            heart.stop()
            self.leave()  # also when a fork is stopped, which raises SystemExit at any line

    def _once(self, stop: threading.Event, woken: Callable[[], bool]) -> None:
        self.maintenance.run_due()
        self.round()
        self._woken = False
        if self.gathering and not self.more:
            self._transport.wait(GATHERING_NAP, stop.is_set)
        elif self.full and not self.more:
            self._transport.wait(FULL_NAP, stop.is_set)
        elif not self.more:  # jobs that were enqueued meanwhile end the wait
            self._transport.wait(self.nap, lambda: stop.is_set() or self._is_woken(woken))

    def _is_woken(self, woken: Callable[[], bool]) -> bool:
        self._woken = self._woken or woken()
        return self._woken

    def beat(self) -> None:
        """Update the heartbeat of this relay."""
        with one_statement() as session:
            heartbeat.beat(session, self._id, "relay", self._problem and f"relay: {self._problem}")

    def leave(self) -> None:
        """Close the transport and delete the row of this relay."""
        self._transport.close()
        try:
            with transaction() as session:
                workers.leave(session, self._id)
        except SQLAlchemyError as error:
            logger.warning("relay row not deleted; its heartbeat expires", error=first_line(error))


def idle_nap(until_due: float | None) -> float:
    """Return the seconds to wait while no job is due, until the next one is due at most."""
    return IDLE_NAP if until_due is None else min(max(until_due, LEAST_NAP), IDLE_NAP)


def cloud_event(event: Event, exchange: str) -> Outgoing:
    """Return the event as CloudEvents 1.0 JSON for the exchange; it may reach no queue."""
    kind = event.routing_key.split(".")
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": "/aura",
        "type": f"aura.{'.'.join(kind[:2])}",
        "subject": event.subject,
        "time": event.created_at.isoformat(),
        "datacontenttype": "application/json",
        "data": event.data,
    }
    return Outgoing(
        exchange,
        event.routing_key,
        json.dumps(body).encode(),
        mandatory=False,
        content_type="application/cloudevents+json",
        message_id=event.id,
    )


def main() -> int:
    """Run a relay in a fork of the worker command, with the modules of WORKER_MODULES or those that its command line names."""
    from dramatiq.cli import import_broker, make_argument_parser

    names = os.environ.get(MODULES_VARIABLE, "").split()
    if not names:
        arguments = make_argument_parser().parse_args()
        names = [arguments.broker, *arguments.modules]
    _, broker = import_broker(names[0])
    for module in names[1:]:
        import_module(module)
    configure_logging()
    run(broker, threading.Event())
    return 0


def run(broker: Any, stop: threading.Event) -> None:
    """Run a relay beside RabbitMQ until stopped; new jobs on PostgreSQL end its waits."""
    from aura.jobs.notifier import Notifier

    transport = broker.transport()
    notifier = Notifier(transport)
    Relay(broker, transport).run(stop, notifier.woken, lambda: notifier.proven)
