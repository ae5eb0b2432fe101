"""The relay: turns due jobs into hints and publishes events, and finds what was lost on the way.

1. Take due, un-hinted jobs, most urgent first, locked so that several relays share the work.
2. Group them by actor and priority into hints of at most `batch` jobs; a job that was tried before goes alone.
3. Publish, wait for every confirm, mark the jobs as hinted, commit. On any trouble roll back: they stay due.
4. Wait for a promise (PostgreSQL's NOTIFY, or an event in this process), at most half a second.
5. Every two seconds free the jobs of workers whose heartbeat stopped.
6. Every ten seconds give again the hints whose queue is empty though their jobs were never claimed.

Only a bounded window of jobs waits inside the broker: the backlog, and the true order, stay in the database.
"""

from __future__ import annotations

import json
import random
import threading
import time
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
from settings import Settings, get_settings

logger = structlog.get_logger("aura.relay")

#: Seconds: the longest nap, between two looks for dead workers, between two looks for lost hints.
NAP = 0.5
RECOVER_EVERY = 2.0
LOST_HINTS_EVERY = 10.0
#: A hint whose job is still unclaimed after this many seconds may be lost.
LOST_HINT_AFTER = 15.0
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

    def round(self) -> int:
        """Hint what is due and publish what happened, once. Returns how many jobs and events left."""
        with reading() as session:  # looking takes no write lock
            actors = jobs.due_actors(session) & self._broker.get_declared_actors()
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
        actor = self._broker.get_actor(name)
        size = actor.options.get("batch", self._settings.batch)
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

    def recover(self) -> None:
        """Make the jobs of dead workers due again."""
        with transaction() as session:
            freed, quarantined = jobs.recover(session, self._settings.worker_dead_after)
        if freed or quarantined:
            logger.warning("recovered the jobs of dead workers", freed=freed, quarantined=quarantined)

    def give_lost_hints_again(self) -> None:
        """Hint again the jobs whose hints are lost: never claimed, and nothing waits in their queue."""
        with reading() as session:
            aged = set(jobs.hinted(session, LOST_HINT_AFTER)) & self._broker.get_declared_actors()
        if not aged:
            return
        queues = {actor: self._broker.get_actor(actor).queue_name for actor in aged}
        depths = self._outlet.depths(sorted(set(queues.values())))
        with transaction() as session:
            for actor in sorted(actor for actor, queue in queues.items() if not depths[queue]):
                if lost := jobs.forget_hints(session, actor, LOST_HINT_AFTER):
                    logger.warning("gave lost hints again", actor=actor, jobs=lost)

    def run(self, stop: threading.Event, woken: Callable[[], bool] = lambda: False) -> None:
        """Relay until told to stop; trouble with a service is logged and tried again with a growing pause."""
        chores = [Chore(self.recover, RECOVER_EVERY), Chore(self.give_lost_hints_again, LOST_HINTS_EVERY)]
        trouble = 0
        while not stop.is_set():
            try:
                busy = self.round()
                for chore in chores:
                    chore.when_due()
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
                    error=(str(error).splitlines() or [type(error).__name__])[0],
                    retry_in=round(pause, 1),
                    exc_info=None if expected else error,
                )
                self._outlet.close()
                stop.wait(pause)
        self._outlet.close()


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
