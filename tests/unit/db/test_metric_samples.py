"""Samples for charts: right, once a minute, and cheap in a large database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from db import jobs, metric_samples, reading, transaction
from db.jobs import NewJob
from db.models import AiCall, DeadLetter, Job, MetricSample, Ticket
from db.new_tickets import NewTicket
from db.tickets import create
from db.time import from_now
from pipelines.scheduled_jobs import record_metric_samples
from pipelines.triage import triage
from tests.embedded import Hand, count, move

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("database")


def latest() -> dict[str, float]:
    with reading() as session:
        names = [*("received", "classified", "notified", "dead", "dollars"), *("seconds.", "due.", "oldest.")]
        return {name: points[-1][1] for name, points in metric_samples.series(session, names, LONG_AGO).items()}


def submit(number: int) -> list[int]:
    with transaction() as session:
        reports = [(NewTicket(title=f"VPN drops {n}", requester="ada@example.com"), {}) for n in range(number)]
        return create(session, "test", reports)


def test_a_quiet_minute_has_figures_too():
    record_metric_samples()

    found = latest()
    assert (found["received"], found["notified"], found["dead"], found["dollars"]) == (0, 0, 0, 0)
    assert (found["due.ai.classify"], found["oldest.ai.classify"]) == (0, 0)
    assert "seconds.p50" not in found


def test_events_of_the_last_minute_are_counted(hand: Hand):
    # Given three tickets that were notified, of which one came 40 seconds ago, two that wait, and old ones
    old = submit(700)
    move(Ticket, created_at=-3600)
    done = submit(3)
    triage.send_many(done)
    hand.run()
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == done[0]).values(created_at=from_now(-40)))
        call = {"ticket_id": old[0], "model": "m", "prompt_version": "p", "sent": "", "outcome": "answered"}
        session.execute(insert(AiCall).values(**call, cost=0.25))
        row = {"actor": "classify", "key": "1", "error_type": "E", "error": "", "fingerprint": "f"}
        session.execute(insert(DeadLetter).values(**row))
        session.execute(insert(DeadLetter).values(**row, state="replayed"))
        work = [NewJob("classify", "a"), NewJob("classify", "b", priority=9), NewJob("email", "c", delay=60)]
        jobs.enqueue(session, work)
    with transaction() as session:
        session.execute(update(Job).where(Job.key == "a").values(due_at=from_now(-90)))
        session.execute(update(Job).where(Job.key == "b").values(hinted_at=from_now(-5), due_at=from_now(-30)))

    assert record_metric_samples() > 0

    found = latest()
    assert (found["received"], found["classified"], found["notified"]) == (3, 3, 3)
    assert (found["dead"], found["dollars"]) == (1, 0.25)
    assert found["seconds.p50"] < 20 < 39 < found["seconds.p95"]
    assert (found["due.ai.classify"], found["due.notify.email"]) == (2, 0)
    assert 89 < found["oldest.ai.classify"] < 110


def test_a_minute_is_written_once():
    record_metric_samples()
    written = count(MetricSample)
    with transaction() as session:
        session.execute(update(MetricSample).values(value=7.0))
    record_metric_samples()

    assert count(MetricSample) in (written, 2 * written)  # the minute may just have ended
    assert min(latest().values()) in (0.0, 7.0)


def test_series_are_of_the_names_and_the_time_asked_for():
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with transaction() as session:
        session.add_all(
            MetricSample(name=name, at=noon + timedelta(minutes=n), value=n)
            for name in ("due.a", "due.b", "dead")
            for n in range(3)
        )
    with reading() as session:
        found = metric_samples.series(session, ["due.", "nothing"], noon + timedelta(minutes=1))
        assert metric_samples.series(session, ["due"], noon) == {}

    assert found == {name: [(noon + timedelta(minutes=n), float(n)) for n in (1, 2)] for name in ("due.a", "due.b")}
