"""Queue stats: the backlog and the rates of each actor."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from db import queue_stats, reading, transaction
from db.jobs import NewJob
from db.models import Attempt
from db.new_tickets import NewTicket
from db.queue_stats import Backlog
from db.tickets import create
from db.time import from_now
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, claim, enqueue, mark_hinted, move

pytestmark = pytest.mark.usefixtures("database")


def waiting(*actors: str) -> dict[str, Backlog]:
    with reading() as session:
        return queue_stats.backlog(session, actors)


def test_each_state_is_counted_once():
    # Given one job running, two hinted, one due for a minute at another priority, and one due later
    enqueue(*[NewJob("classify", str(n)) for n in range(3)])
    first, *others = [job.id for job in all_jobs()]
    claim("classify", first)
    mark_hinted(*others)
    enqueue(NewJob("classify", "due", priority=9), NewJob("classify", "later", delay=3600))
    with transaction() as session:
        from db.models import Job

        session.execute(update(Job).where(Job.key == "due").values(due_at=from_now(-60)))

    found = waiting("classify", "notify")

    assert found["notify"] == Backlog()
    each = found["classify"]
    assert (each.running, each.queued, each.available, each.scheduled) == (1, 2, 1, 1)
    assert 59 < each.oldest_seconds < 90
    assert each.open == 4


def test_a_count_stops_at_its_bound(monkeypatch: pytest.MonkeyPatch):
    enqueue(*[NewJob("email", str(n)) for n in range(5)])

    with reading() as session:
        few = session.scalar(queue_stats.select(queue_stats.bounded_count(queue_stats.select(queue_stats.Job.id), 3)))

    assert few == 4


def test_without_actors_there_is_no_backlog():
    assert waiting() == {}


def test_rates_are_of_the_last_minute(hand: Hand):
    with reading() as session:
        assert queue_stats.rates(session) == {}
    with transaction() as session:
        ids = create(session, "test", [(NewTicket(title=f"VPN {n}"), {}) for n in range(6)])
    triage.send_many(ids)
    hand.run()
    with transaction() as session:
        old = session.scalars(queue_stats.select(Attempt.id).where(Attempt.actor == "classify").limit(2)).all()
        session.execute(update(Attempt).where(Attempt.id.in_(old)).values(created_at=from_now(-90)))
        failed = session.scalars(queue_stats.select(Attempt.id).where(Attempt.actor == "notify").limit(1)).all()
        session.execute(update(Attempt).where(Attempt.id.in_(failed)).values(outcome="retried"))

    with reading() as session:
        found = queue_stats.rates(session)

    assert (found["classify"].completed, found["classify"].failed) == (4, 0)
    assert (found["notify"].completed, found["notify"].failed) == (5, 1)


def test_rates_of_a_truncated_attempt_history_are_those_of_its_period(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue_stats, "COUNT_LIMIT", 6)
    with transaction() as session:
        ids = create(session, "test", [(NewTicket(title=f"VPN {n}"), {}) for n in range(6)])
    triage.send_many(ids)
    hand.run()
    move(Attempt, created_at=-30)

    with reading() as session:
        found = queue_stats.rates(session)

    # six in thirty seconds are twelve a minute, whoever kept them; and the clock goes on
    assert 8 < sum(rate.completed for rate in found.values()) <= 12
