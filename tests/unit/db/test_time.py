"""Time of the database: UTC, arithmetic, and values that are stored unchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import literal, select

from db import reading, transaction
from db.jobs import NewJob
from db.models import Job
from db.time import UtcDateTime, after, elapsed, from_now, now
from tests.embedded import enqueue

pytestmark = pytest.mark.usefixtures("database")


def test_from_now_adds_positive_negative_and_fractional_seconds():
    with reading() as session:
        at, later, before, half = session.execute(select(now(), from_now(3600), from_now(-86_400), from_now(0.5))).one()

    assert at.tzinfo is UTC
    assert abs((at - datetime.now(UTC)).total_seconds()) < 60
    assert (later - at).total_seconds() == pytest.approx(3600, abs=1)
    assert (before - at).total_seconds() == pytest.approx(-86_400, abs=1)
    assert 0.4 < (half - at).total_seconds() < 1.5


def test_a_timestamp_is_stored_with_microseconds_and_compared_as_time():
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    enqueue(NewJob("classify", "1"))
    with transaction() as session:
        job = session.scalars(select(Job)).one()
        job.due_at = moment

    with reading() as session:
        assert session.scalars(select(Job.due_at).where(Job.due_at == moment)).all() == [moment]
        assert session.scalars(select(Job.due_at).where(Job.due_at < now())).all() == [moment]


def test_a_naive_datetime_is_refused():
    with pytest.raises(Exception, match="must be aware"), reading() as session:
        session.scalar(select(Job).where(Job.due_at < datetime(2026, 1, 1)))


def test_after_and_elapsed_are_relative_to_a_timestamp():
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    moment = literal(hour_ago, UtcDateTime())
    with reading() as session:
        later, seconds = session.execute(select(after(moment, 90.5), elapsed(moment))).one()

    assert (later - hour_ago).total_seconds() == pytest.approx(90.5, abs=0.01)
    assert seconds == pytest.approx(3600, abs=10)
