"""What /metrics says of the database: the same in every process, read when it is asked for, at a cost that is bounded.

Counts stop at ``flow.MOST``. Without a database there is one figure, aura_database_up 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import actors
from aura.settings import get_settings
from db import (
    ai_costs,
    dead_letters,
    inbound_mails,
    metric_samples,
    notifications,
    outbox,
    queue_controls,
    queue_stats,
    reading,
    schedule_runs,
)
from db.process_stats import living, waiting_longest
from pipelines.scheduler import LEASE

#: How far a journey came that is not finished.
UNFINISHED = ("received", "prepared", "classified")

Rows = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        gauge.add_metric(values, number)
    return gauge


class FromDatabase:
    """A collector of Prometheus' client."""

    def collect(self) -> Iterator[Metric]:
        try:
            with reading() as session:
                found = list(_figures(session))
        except SQLAlchemyError:
            found = []
        yield GaugeMetricFamily("aura_database_up", "Whether the database answered.", value=bool(found))
        yield from found


def _figures(session: Session) -> Iterator[Metric]:
    dead_after = get_settings().worker_dead_after
    waiting = queue_stats.backlog(session, actors.broker.get_declared_actors())
    stages = {stage: queue_stats.Unfinished(0, 0.0) for stage in UNFINISHED} | queue_stats.unfinished(session)
    held = queue_controls.current(session)
    states = ("due", "hinted", "running", "later")
    yield _gauge(
        "aura_jobs",
        "Jobs that are promised and not kept yet, by actor and state (due, hinted, running, later).",
        ("actor", "state"),
        (((actor, state), getattr(each, state)) for actor, each in waiting.items() for state in states),
    )
    yield _gauge(
        "aura_oldest_due_seconds",
        "Seconds that the oldest due job of an actor waits for a worker.",
        ("actor",),
        (((actor,), each.oldest) for actor, each in waiting.items()),
    )
    yield GaugeMetricFamily(
        "aura_relay_lag_seconds", "Seconds that the oldest due job waits for a hint.", value=waiting_longest(session)
    )
    yield _gauge(
        "aura_tickets",
        "Tickets whose journey is not finished, by how far it came.",
        ("stage",),
        (((stage,), each.tickets) for stage, each in stages.items()),
    )
    yield _gauge(
        "aura_stage_oldest_seconds",
        "Seconds since the oldest unfinished ticket of a stage came in.",
        ("stage",),
        (((stage,), each.oldest) for stage, each in stages.items()),
    )
    yield _gauge(
        "aura_journey_seconds",
        "Seconds from received to notified, of the journeys that ended in the last five minutes.",
        ("quantile",),
        (((f"0.{name[-2:]}",), value) for name, value in metric_samples.seconds(session).items()),
    )
    yield GaugeMetricFamily(
        "aura_dead_letters", "Dead letters that wait for a person.", value=dead_letters.count(session)
    )
    yield GaugeMetricFamily(
        "aura_notifications_unknown",
        "Notifications that wait for a person, since nobody knows whether they left.",
        value=notifications.in_doubt_count(session),
    )
    yield GaugeMetricFamily(
        "aura_oldest_event_seconds",
        "Seconds that the oldest event for other services waits to be published.",
        value=outbox.oldest(session),
    )
    yield _gauge(
        "aura_mails_last_hour",
        "Mails that came in within the last hour, by what became of them (ticket, comment, ignored, refused).",
        ("outcome",),
        (((outcome,), count) for outcome, count in inbound_mails.outcomes(session).items()),
    )
    yield _gauge(
        "aura_processes",
        "Processes with a fresh heartbeat, by kind (worker, relay).",
        ("kind",),
        (((kind,), living(session, kind, dead_after)) for kind in ("worker", "relay")),
    )
    yield GaugeMetricFamily(
        "aura_clock_leads", "Whether a clock holds the leader's lease.", value=schedule_runs.led(session, LEASE)
    )
    yield _gauge(
        "aura_queue_paused",
        "Whether a queue is paused.",
        ("queue",),
        (((queue,), queue in held and held[queue].paused) for queue in sorted(actors.broker.get_declared_queues())),
    )
    yield GaugeMetricFamily(
        "aura_ai_dollars_today",
        "US dollars that the remote engine cost since midnight, UTC.",
        value=ai_costs.today(session),
    )
    yield GaugeMetricFamily(
        "aura_ai_budget_dollars",
        "US dollars it may cost a day (AURA_AI_BUDGET_DAY).",
        value=get_settings().ai_budget_day,
    )
