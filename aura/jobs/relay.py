"""The relay: turns due jobs into hints, and publishes events.

1. Take due, un-hinted jobs, most urgent first, locked so that several relays share the work. Paused queues wait; a
   limited one gets no more than its limit, running jobs counted.
2. Group them by actor and priority into hints of at most `batch` jobs; a job that was tried before goes alone, and one
   that killed its worker twice goes when no other such job is under way. While a batch of an actor's jobs waits inside
   the broker, the next ones gather until they are a batch too, a quarter of a second at most: sooner nobody could take
   them, and a hint of many costs little more than a hint of one.
3. Mark them as hinted, commit, publish, wait for every confirm. On any trouble unmark them: they are due again. A relay
   that dies in between leaves hints that are lost, and those are found. An event is deleted when its confirm is there.
4. Wait for a promise (PostgreSQL's NOTIFY, or an event in this process), at most half a second.
5. Between the rounds, find what was lost on the way (`aura.jobs.maintenance`).

Only a bounded window of jobs waits inside the broker: the backlog, and the true order, stay in the database.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.jobs import control_cache, metrics
from aura.jobs.batches import batch_size
from aura.jobs.maintenance import Maintenance
from aura.jobs.notifier import Notifier
from aura.jobs.rabbitmq.publisher import Publisher
from aura.jobs.rabbitmq.topology import hint_route
from aura.jobs.transport import Outgoing, PublishFailed, Transport
from aura.settings import Settings, first_line, get_settings
from db import hints, outbox, queue_controls, reading, transaction, workers
from db.hints import Dispatched
from db.outbox import Event

logger = structlog.get_logger("aura.relay")

#: Seconds: the longest nap, and between two heartbeats.
NAP = 0.5
BEAT_EVERY = 2.0
#: Seconds: how long a due job waits for others at most while many wait inside the broker, and between two looks meanwhile.
GATHER, LOOK = 0.25, 0.02
#: Most jobs of one round, and most events.
ROUND = 10_000


class _Room:
    """How many more jobs of each actor may be hinted: what its window and its queue, if that is held back, leave free."""

    def __init__(self, window: int, inside: dict[str, int], free: dict[str, int], queue_of: dict[str, str]) -> None:
        self._window = {name: window - inside.get(name, 0) for name in queue_of}
        self._inside, self._free, self._queue_of = inside, free, queue_of

    def inside(self, actor: str) -> int:
        """Return how many of the actor's jobs waited inside the broker when the round began."""
        return self._inside.get(actor, 0)

    def __call__(self, actor: str) -> int:
        window = self._window[actor]
        return min(window, self._free.get(self._queue_of[actor], window))

    def use(self, actor: str, jobs: int) -> None:
        self._window[actor] -= jobs
        if self._queue_of[actor] in self._free:
            self._free[self._queue_of[actor]] -= jobs


class Relay:
    """One relay; any number may run beside each other."""

    def __init__(self, broker: dramatiq.Broker, outlet: Transport, settings: Settings) -> None:
        self._broker = broker
        self._outlet = outlet
        self._settings = settings
        self._id = uuid.uuid4().hex
        self._more = self._gathering = False
        self._suspected = float("-inf")
        self.upkeep = Maintenance(broker, outlet, settings)

    def round(self) -> int:
        """Hint what is due and publish what happened, once. Returns how many jobs and events left."""
        self._more = self._gathering = False
        with reading() as session:  # looking takes no write lock
            lanes = hints.due_buckets(session, self._actors())
            happened = self._settings.events and outbox.any_waiting(session)
        return (self._hint(lanes) if lanes else 0) + (self._tell() if happened else 0)

    def _hint(self, lanes: Sequence[tuple[str, int]]) -> int:
        # committed before it is published: a worker that has the hint at once must not wait for the broker's confirm
        with transaction() as session:
            batch, ids = self._take(session, lanes)
        if not batch:
            return 0
        try:
            self._outlet.publish(batch)
        except BaseException:
            # whatever it was; if this fails too, they are found as lost hints
            with transaction() as session:
                hints.release(session, ids)
            raise
        return len(ids)

    def _tell(self) -> int:
        with transaction() as session:
            news = outbox.dispatch(session, ROUND)
            self._outlet.publish([cloud_event(event) for event in news])
        self._more = self._more or len(news) == ROUND
        return len(news)

    def _take(self, session: Session, lanes: Sequence[tuple[str, int]]) -> tuple[list[Outgoing], list[int]]:
        """Mark due jobs as hinted; return their hints, and which jobs they name."""
        room = self._room(session)
        batch: list[Outgoing] = []
        ids: list[int] = []
        barren = False
        for actor, priority in lanes:
            if (most := min(room(actor), ROUND - len(ids))) > 0:
                if self._gathers(session, actor, priority, room.inside(actor)):
                    self._gathering = True
                    continue
                due = hints.dispatch(session, actor, priority, most)
                batch += self._hints(actor, priority, due)
                ids += [job.id for job in due]
                if due:
                    metrics.HINTED.labels(actor).inc(len(due))
                    metrics.HINT_WAIT.labels(actor).observe(max(job.waited for job in due))
                room.use(actor, len(due))
                barren = barren or not due
                self._more = self._more or len(due) == most
        # a lane with something due gives nothing when suspects are all it has; beside others they wait a moment
        if barren or time.monotonic() - self._suspected > NAP:
            self._suspected = time.monotonic()
            if suspect := hints.dispatch_suspect(session, [name for name in self._actors() if room(name) > 0]):
                job_id, actor, priority = suspect
                batch += self._hints(actor, priority, [Dispatched(job_id, True, 0.0)])
                ids.append(job_id)
        return batch, ids

    def _room(self, session: Session) -> _Room:
        queue_of = {name: self._broker.get_actor(name).queue_name for name in self._actors()}
        held_back = control_cache.current(session)
        free = {queue: 0 for queue, held in held_back.items() if held.paused}
        limited = {queue: held.limit for queue, held in held_back.items() if held.limit and not held.paused}
        if limited:
            queue_controls.lock(session)  # two relays must not both count the same free places
        inside = hints.in_flight(session)
        if limited:
            running = hints.running(session)
            busy = Counter[str]()
            for name, queue in queue_of.items():
                busy[queue] += inside.get(name, 0) + running.get(name, 0)
            free |= {queue: max(limit - busy[queue], 0) for queue, limit in limited.items()}
        return _Room(self._settings.max_in_flight, inside, free, queue_of)

    def _gathers(self, session: Session, actor: str, priority: int, inside: int) -> bool:
        size = batch_size(self._broker.get_actor(actor), self._settings)
        return 1 < size <= inside and not hints.gathered(session, actor, priority, size, GATHER)

    def _hints(self, name: str, priority: int, due: Sequence[Dispatched]) -> list[Outgoing]:
        actor = self._broker.get_actor(name)
        size = batch_size(actor, self._settings)
        way = hint_route(actor.queue_name)
        fresh = [job.id for job in due if not job.tried]
        batches = [fresh[start : start + size] for start in range(0, len(fresh), size)]
        batches += [[job.id] for job in due if job.tried]
        return [
            Outgoing(way.exchange, way.routing_key, actor.message_with_options(args=(ids,)).encode(), priority)
            for ids in batches
        ]

    def beat(self) -> None:
        """Show that this relay lives."""
        with transaction() as session:
            workers.beat(session, self._id, f"{socket.gethostname()}:{os.getpid()}", "relay")

    def _keep_beating(self, stop: threading.Event) -> None:
        # in a thread of its own: a broker that hangs can hold the relay up for longer than a heartbeat may take
        while True:
            try:
                self.beat()
            except Exception as error:
                logger.warning("no heartbeat", error=first_line(error))
            if stop.wait(BEAT_EVERY):
                return

    def _actors(self) -> set[str]:
        return self._broker.get_declared_actors()

    def run(self, stop: threading.Event, woken: Callable[[], bool] = lambda: False) -> None:
        """Relay until told to stop; trouble with a service is logged and tried again with a growing pause."""
        trouble = 0
        gone = threading.Event()
        heart = threading.Thread(target=self._keep_beating, args=(gone,), name="relay-heartbeat", daemon=True)
        heart.start()
        try:
            while not stop.is_set():
                try:
                    self.upkeep.when_due()
                    self.round()
                    if self._gathering and not self._more:
                        self._outlet.wait(LOOK, stop.is_set)
                    elif not self._more:  # what was promised since we looked wakes us
                        self._outlet.wait(NAP, lambda: stop.is_set() or woken())
                    if trouble:
                        logger.info("the relay works again", failed=trouble)
                    trouble = 0
                except Exception as error:
                    # whatever it is, the relay must go on: nobody else turns promises into hints
                    trouble += 1
                    pause = min(0.1 * 2**trouble, 5.0) * random.uniform(0.5, 1.0)
                    expected = isinstance(error, PublishFailed | SQLAlchemyError)
                    logger.warning(
                        "the relay waits",
                        error=first_line(error),
                        retry_in=round(pause, 1),
                        exc_info=None if expected else error,
                    )
                    self._outlet.close()
                    stop.wait(pause)
        finally:
            gone.set()
            heart.join(BEAT_EVERY)
            self.leave()  # also when a fork is stopped, which raises SystemExit at any line

    def leave(self) -> None:
        """Close the outlet and take the row of this relay away."""
        self._outlet.close()
        try:
            with transaction() as session:
                workers.leave(session, self._id)
        except SQLAlchemyError as error:
            logger.warning("could not sign off; the heartbeat runs out by itself", error=first_line(error))


def cloud_event(event: Event) -> Outgoing:
    """Return the event as CloudEvents 1.0 JSON for the `tickets` exchange; nobody need be bound."""
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
        "tickets",
        event.routing_key,
        json.dumps(body).encode(),
        mandatory=False,
        content_type="application/cloudevents+json",
        message_id=event.id,
    )


def main() -> int:
    """Run the relay in a process of its own: a fork of the worker command."""
    import actors
    from aura.jobs.logs import configure_logging

    configure_logging()
    settings = get_settings()
    publisher = Publisher(settings, lambda: sorted(actors.broker.get_declared_queues()))
    Relay(actors.broker, publisher, settings).run(threading.Event(), Notifier(publisher).woken)
    return 0
