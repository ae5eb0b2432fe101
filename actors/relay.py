"""The relay: turns due jobs into hints and publishes events, and finds what was lost on the way.

1. Take due, un-hinted jobs, most urgent first, locked so that several relays share the work.
2. Group them by actor and priority into hints of at most `batch` jobs; a job that was tried before goes alone.
3. Publish, wait for every confirm, mark the jobs as hinted, commit. On any trouble roll back: they stay due.
4. Wait for a promise (PostgreSQL's NOTIFY, or an event in this process), at most half a second.
5. Every two seconds free the jobs of workers whose heartbeat stopped.
6. Every ten seconds give again the hints that were lost: their jobs wait, and their queue cannot hold them.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import dramatiq
import structlog
from sqlalchemy.exc import SQLAlchemyError

from actors.ear import Ear
from actors.publisher import Outgoing, Publisher, PublishFailed
from actors.topology import hint_route
from db import events, jobs, reading, transaction
from db.models import Event
from settings import Settings, first_line, get_settings

logger = structlog.get_logger("aura.relay")

#: Seconds: the longest nap, between two heartbeats, two looks for dead workers, two looks for lost hints.
NAP = 0.5
BEAT_EVERY = 2.0
RECOVER_EVERY = 2.0
LOST_HINTS_EVERY = 10.0
#: A hint whose job is still unclaimed after this many seconds may be lost.
LOST_HINT_AFTER = 15.0
#: After this many it is given again whatever its queue holds.
CERTAINLY_LOST_AFTER = 300.0
#: Most jobs of one actor in one round, and most events.
ROUND = 2000


@dataclass(slots=True)
class Chore:
    """Something to do every so many seconds, from the first round on."""

    do: Callable[[], None]
    every: float
    last: float = 0.0

    def when_due(self) -> None:
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self.do()


class Outlet(Protocol):
    """Where hints go: RabbitMQ, or a queue in this process."""

    def publish(self, batch: Sequence[Outgoing]) -> None: ...
    def wait(self, seconds: float, woken: Callable[[], bool]) -> None: ...
    def depths(self, queues: Sequence[str]) -> dict[str, int]: ...
    def close(self) -> None: ...


class Relay:
    """One relay; any number may run beside each other."""

    def __init__(self, broker: dramatiq.Broker, outlet: Outlet, settings: Settings) -> None:
        self._broker = broker
        self._outlet = outlet
        self._settings = settings
        self._id = uuid.uuid4().hex

    def round(self) -> int:
        """Hint what is due and publish what happened, once. Returns how many jobs and events left."""
        with reading() as session:  # looking takes no write lock
            actors = jobs.due_actors(session) & self._actors()
            happened = bool(events.waiting(session, 1))
        if not actors and not happened:
            return 0
        with transaction() as session:
            inside = jobs.hinted(session)
            batch: list[Outgoing] = []
            ids: list[int] = []
            for actor in sorted(actors):
                room = min(self._settings.window - inside.get(actor, 0), ROUND)
                due = jobs.due(session, actor, room) if room > 0 else []
                batch += self._hints(actor, due)
                ids += [job_id for job_id, _, _ in due]
            news = events.waiting(session, ROUND) if happened else []
            batch += [cloud_event(event) for event in news]
            if not batch:
                return 0
            self._outlet.publish(batch)
            jobs.mark_hinted(session, ids)
            if news:
                events.forget(session, news)
        return len(ids) + len(news)

    def _hints(self, name: str, due: Sequence[tuple[int, int, int]]) -> list[Outgoing]:
        actor, size = self._broker.get_actor(name), self._batch(name)
        way = hint_route(actor.queue_name)
        hints = []
        for priority, group in groupby(due, key=lambda job: job[1]):
            members = list(group)
            fresh = [job_id for job_id, _, tried in members if not tried]
            batches = [fresh[start : start + size] for start in range(0, len(fresh), size)]
            batches += [[job_id] for job_id, _, tried in members if tried]
            for ids in batches:
                message = actor.message_with_options(args=(ids,))
                hints.append(Outgoing(way.exchange, way.routing_key, message.encode(), priority))
        return hints

    def beat(self) -> None:
        """Show that this relay lives."""
        with transaction() as session:
            jobs.beat(session, self._id, f"{socket.gethostname()}:{os.getpid()}", "relay")

    def _keep_beating(self, stop: threading.Event) -> None:
        # in a thread of its own: a broker that hangs can hold the relay up for longer than a heartbeat may take
        while True:
            try:
                self.beat()
            except Exception as error:
                logger.warning("no heartbeat", error=first_line(error))
            if stop.wait(BEAT_EVERY):
                return

    def recover(self) -> None:
        """Make the jobs of dead workers due again."""
        with transaction() as session:
            freed, quarantined = jobs.recover(session, self._settings.worker_dead_after)
        if freed or quarantined:
            logger.warning("recovered the jobs of dead workers", freed=freed, quarantined=quarantined)

    def give_lost_hints_again(self) -> None:
        """Hint again the jobs whose hints are lost: unclaimed for long, and their queue cannot hold all their hints.

        A queue that is merely slow holds them all, so it is not flooded. After five minutes a hint is given again
        whatever the queue holds; one too many costs a query.
        """
        with reading() as session:
            aged = set(jobs.hinted(session, LOST_HINT_AFTER)) & self._actors()
            waiting = jobs.hinted(session)
        if not aged:
            return
        queue_of = {name: self._broker.get_actor(name).queue_name for name in aged | (waiting.keys() & self._actors())}
        depths = self._outlet.depths(sorted({queue_of[name] for name in aged}))
        for name in sorted(aged):
            queue = queue_of[name]
            room = depths[queue] * max(self._batch(each) for each, of in queue_of.items() if of == queue)
            named = sum(count for each, count in waiting.items() if queue_of.get(each) == queue)
            with transaction() as session:
                age = LOST_HINT_AFTER if named > room else CERTAINLY_LOST_AFTER
                if lost := jobs.forget_hints(session, name, age):
                    logger.warning("gave lost hints again", actor=name, jobs=lost)

    def _actors(self) -> set[str]:
        return self._broker.get_declared_actors()

    def _batch(self, name: str) -> int:
        size: int = self._broker.get_actor(name).options.get("batch", self._settings.batch)
        return size

    def run(self, stop: threading.Event, woken: Callable[[], bool] = lambda: False) -> None:
        """Relay until told to stop; trouble with a service is logged and tried again with a growing pause."""
        chores = [Chore(self.recover, RECOVER_EVERY), Chore(self.give_lost_hints_again, LOST_HINTS_EVERY)]
        trouble = 0
        gone = threading.Event()
        heart = threading.Thread(target=self._keep_beating, args=(gone,), name="relay-heartbeat", daemon=True)
        heart.start()
        try:
            while not stop.is_set():
                try:
                    for chore in chores:
                        chore.when_due()
                    busy = self.round()
                    if not busy:
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
                jobs.leave(session, self._id)
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
    from actors.logs import configure_logging

    configure_logging()
    settings = get_settings()
    publisher = Publisher(settings, lambda: sorted(actors.broker.get_declared_queues()))
    Relay(actors.broker, publisher, settings).run(threading.Event(), Ear(publisher).woken)
    return 0
