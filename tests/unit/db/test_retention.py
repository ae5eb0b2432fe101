"""Retention: expired rows are deleted or cleared in batches, and unsent notifications stay."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from db import retention, transaction
from db.models import Attempt, Base, MetricSample, Notification, VerdictRecord
from db.new_tickets import NewTicket
from db.time import from_now
from tests.embedded import count
from tests.unit.db.helpers import create, save_verdicts, verdict

pytestmark = pytest.mark.usefixtures("database")

RULES = retention.rules(30, 30, 30, 30, 30, 30)


def delete_batch(name: str, batch: int = 100) -> int:
    with transaction() as session:
        return retention.delete_batch(session, RULES[name], batch)


def test_every_rule_has_the_name_of_its_table():
    assert {name: rule.model.__tablename__ for name, rule in RULES.items()} == {name: name for name in RULES}
    assert set(RULES) < set(Base.metadata.tables)


def test_expired_rows_are_deleted_in_batches():
    row = {"job_id": 1, "actor": "a", "key": "1", "number": 1, "worker": "w", "outcome": "completed", "seconds": 0.0}
    with transaction() as session:
        for days in (1, 31, 32, 33):
            session.execute(insert(Attempt).values(row | {"created_at": from_now(-days * 86_400)}))

    assert [delete_batch("attempts", 2), delete_batch("attempts", 2), delete_batch("attempts", 2)] == [2, 1, 0]
    assert count(Attempt) == 1


def test_metric_samples_are_deleted_by_their_time():
    with transaction() as session:
        for days in (1, 31, 32):
            session.execute(insert(MetricSample).values(name="dead", at=from_now(-days * 86_400), value=1.0))

    assert delete_batch("metric_samples") == 2
    assert count(MetricSample) == 1


def test_a_verdict_keeps_its_figures_and_loses_its_texts():
    (ticket,) = create(NewTicket(title="x"))
    save_verdicts(verdict(ticket) | {"summary": "a summary", "words": ["vpn"]})
    with transaction() as session:
        session.execute(VerdictRecord.__table__.update().values(created_at=from_now(-31 * 86_400)))

    assert [delete_batch("verdicts"), delete_batch("verdicts")] == [1, 0]
    with transaction() as session:
        [row] = session.query(VerdictRecord)
        assert (row.reason, row.summary, row.words, row.category, row.confidence) == ("", "", [], "Network", 0.9)


@pytest.mark.parametrize(("state", "deleted"), [("sent", 1), ("digested", 1), ("enqueued", 0), ("in_doubt", 0)])
def test_only_sent_and_digested_notifications_are_deleted(state: str, deleted: int):
    row = {"id": "n", "event": "e", "channel": "email", "recipient": "r", "dedupe_key": "k", "subject": "", "body": ""}
    with transaction() as session:
        session.execute(insert(Notification).values(row | {"state": state, "created_at": from_now(-31 * 86_400)}))

    assert delete_batch("notifications") == deleted
