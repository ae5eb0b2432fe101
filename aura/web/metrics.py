"""Gauges of /metrics that are read from the database: jobs, tickets, processes, dead letters, costs.

They are the same in every process. Counts stop at `db.queue_stats.COUNT_LIMIT`. Without a database there is one gauge alone,
aura_database_up 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import actors
from aura.settings import get_settings
from db import (
    ai_costs,
    clock_jumps,
    dead_letters,
    fence,
    inbound_mails,
    leader_election,
    metric_samples,
    notifications,
    outbox,
    queue_controls,
    queue_stats,
    reading,
)
from db.process_stats import count_live, oldest_due_seconds, problems
from pipelines.scheduler import LEASE

#: The stages of a ticket whose triage is not complete, and the states of an open job.
UNFINISHED = ("received", "prepared", "classified")
STATES = ("scheduled", "available", "queued", "running", "retrying")

Rows = Iterable[tuple[tuple[str, ...], float]]


class DatabaseMetrics:
    """A collector for the Prometheus client."""

    def collect(self) -> Iterator[Metric]:
        try:
            with reading() as session:
                gauges = list(_gauges(session))
        except SQLAlchemyError:
            gauges = []
        yield GaugeMetricFamily("aura_database_up", "Whether the database answers.", value=bool(gauges))
        yield from gauges


def _labelled(name: str, text: str, labels: tuple[str, ...], rows: Rows) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        gauge.add_metric(values, number)
    return gauge


def _gauges(session: Session) -> Iterator[Metric]:
    dead_after = get_settings().worker_dead_after
    backlog = queue_stats.backlog(session, actors.broker.get_declared_actors())
    stages = {stage: queue_stats.Unfinished(0, 0.0) for stage in UNFINISHED} | queue_stats.unfinished(session)
    controls = queue_controls.current(session)
    failover = fence.last_event_age(session)
    yield GaugeMetricFamily(
        "aura_database_failover_seconds",
        "Seconds since the database was promoted or restored; +Inf if it was not within seven days.",
        value=math.inf if failover is None else failover,
    )
    yield _labelled(
        "aura_jobs",
        "Open jobs by actor and state (scheduled, available, queued, running, retrying).",
        ("actor", "state"),
        (((actor, state), getattr(each, state)) for actor, each in backlog.items() for state in STATES),
    )
    yield _labelled(
        "aura_oldest_due_seconds",
        "Seconds since the oldest due job of an actor that no worker runs became due.",
        ("actor",),
        (((actor,), each.oldest_seconds) for actor, each in backlog.items()),
    )
    yield GaugeMetricFamily(
        "aura_relay_lag_seconds",
        "Seconds since the oldest available job became due.",
        value=oldest_due_seconds(session),
    )
    yield GaugeMetricFamily(
        "aura_jobs_in_future",
        "Jobs without an attempt that were enqueued later than now, because the clock of the database went back.",
        value=clock_jumps.future_jobs(session),
    )
    yield _labelled(
        "aura_tickets",
        "Tickets whose triage is not complete, by stage.",
        ("stage",),
        (((stage,), each.tickets) for stage, each in stages.items()),
    )
    yield _labelled(
        "aura_stage_oldest_seconds",
        "Seconds since the oldest ticket of a stage was created.",
        ("stage",),
        (((stage,), each.oldest_seconds) for stage, each in stages.items()),
    )
    yield _labelled(
        "aura_triage_seconds",
        "Seconds from received to notified, of the tickets notified in the last five minutes.",
        ("quantile",),
        (((f"0.{name[-2:]}",), value) for name, value in metric_samples.pipeline_seconds(session).items()),
    )
    yield GaugeMetricFamily(
        "aura_dead_letters", "Dead letters that are neither replayed nor discarded.", value=dead_letters.count(session)
    )
    yield GaugeMetricFamily(
        "aura_notifications_in_doubt",
        "Notifications of which the channel did not confirm whether they were sent; a person decides.",
        value=notifications.in_doubt_count(session),
    )
    yield GaugeMetricFamily(
        "aura_oldest_event_seconds",
        "Seconds since the oldest event in the outbox was recorded.",
        value=outbox.oldest(session),
    )
    yield _labelled(
        "aura_mails_last_hour",
        "Inbound mails of the last hour by outcome (ticket, comment, ignored, refused).",
        ("outcome",),
        (((outcome,), count) for outcome, count in inbound_mails.outcomes(session).items()),
    )
    yield GaugeMetricFamily(
        "aura_mails_over_sender_limit",
        "Inbound mails of the last hour that were ignored because of AURA_MAIL_SENDER_LIMIT.",
        value=inbound_mails.over_sender_limit(session),
    )
    yield _labelled(
        "aura_processes",
        "Processes with a recent heartbeat by kind (worker, relay).",
        ("kind",),
        (((kind,), count_live(session, kind, dead_after)) for kind in ("worker", "relay")),
    )
    yield GaugeMetricFamily(
        "aura_process_problems",
        "Different problems that workers and relays report, such as a broker that blocks publishers.",
        value=len(problems(session, dead_after)),
    )
    yield GaugeMetricFamily(
        "aura_scheduler_leads",
        "Whether a scheduler holds the leader lease.",
        value=leader_election.is_held(session, LEASE),
    )
    yield _labelled(
        "aura_queue_paused",
        "Whether a queue is paused.",
        ("queue",),
        (
            ((queue,), queue in controls and controls[queue].paused)
            for queue in sorted(actors.broker.get_declared_queues())
        ),
    )
    yield GaugeMetricFamily(
        "aura_ai_dollars_today",
        "Costs of the remote engine since midnight UTC, in US dollars.",
        value=ai_costs.spent_today(session),
    )
    yield GaugeMetricFamily(
        "aura_ai_budget_dollars",
        "Budget of the remote engine per day, in US dollars (AURA_AI_BUDGET_DAY).",
        value=get_settings().ai_budget_day,
    )
