"""The retention actor: deletes expired rows in batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from actors import retention as retention_actor
from db import reading, retention, transaction
from db.models import (
    AiCall,
    Attempt,
    IdempotencyKey,
    InboundMail,
    MetricSample,
    Notification,
    ScheduleRun,
    Ticket,
    VerdictRecord,
)
from pipelines.scheduled_jobs import enqueue_retention
from tests.embedded import Hand, count, letters, move

NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
OLD = -400 * 86_400


@pytest.mark.usefixtures("database")
def test_expired_rows_are_deleted_and_expired_texts_emptied_in_batches(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    # Given two batches of attempts and one row of every other kind
    row = {"ticket_id": None, "event": "", "channel": "email", "recipient": "", "subject": "", "body": ""}
    ledger = {"job_id": 1, "actor": "", "key": "", "number": 1, "worker": "", "outcome": "completed", "seconds": 0.1}
    verdict_values = {
        "category": "Network",
        "confidence": 0.9,
        "priority": "high",
        "priority_confidence": 0.8,
        "engine": "local",
    }
    with transaction() as session:
        ticket = Ticket(source="test", raw="{}")
        session.add(ticket)
        session.flush()
        session.add_all([Attempt(**ledger) for _ in range(5)])
        session.add(
            VerdictRecord(
                ticket_id=ticket.id,
                reason="VPN",
                summary="s",
                words=["w"],
                needs_review=False,
                model="m",
                **verdict_values,
            )
        )
        session.add(AiCall(ticket_id=ticket.id, model="m", prompt_version="p", sent="text", outcome="answered"))
        session.add(InboundMail(message_id="<1@x>", sender="ada@example.com", raw=b"bytes", outcome="ticket"))
        session.add(Notification(id="sent", dedupe_key="sent", state="sent", **row))
        session.add(Notification(id="enqueued", dedupe_key="enqueued", **row))
        session.add(IdempotencyKey(key="k", fingerprint="", ticket_id=1))
        session.add(ScheduleRun(job="j", scheduled_at=NOON, term=1))
        session.add_all([MetricSample(name="dead", at=NOON + timedelta(minutes=n), value=1) for n in range(5)])
    monkeypatch.setattr(retention, "BATCH", 3)
    batches: list[int] = []
    delete_batch = retention.delete_batch
    monkeypatch.setattr(
        retention, "delete_batch", lambda *what: batches.append(delete_batch(*what, batch=3)) or batches[-1]
    )
    monkeypatch.setattr(retention_actor, "BATCH_INTERVAL", 0.0)

    # When nothing is expired, nothing is deleted
    enqueue_retention()
    hand.run()
    assert (count(AiCall), count(InboundMail), count(Notification), max(batches)) == (1, 1, 2, 4)
    # When everything is expired
    for model, column in ((Attempt, "created_at"), (VerdictRecord, "created_at"), (AiCall, "created_at"),
                          (InboundMail, "created_at"), (Notification, "created_at"), (IdempotencyKey, "created_at"),
                          (ScheduleRun, "started_at")):  # fmt: skip
        move(model, **{column: OLD})
    enqueue_retention()
    hand.run()

    # Then each transaction deletes one batch, of samples with the rest of their minute
    assert max(batches) <= 4
    # And enqueued notifications stay, and a verdict keeps its figures
    gone = (AiCall, IdempotencyKey, ScheduleRun, MetricSample)
    assert [count(model) for model in gone] == [0] * len(gone)
    with reading() as session:
        assert session.scalars(select(Notification.id)).all() == ["enqueued"]
        verdict, mail = session.scalars(select(VerdictRecord)).one(), session.scalars(select(InboundMail)).one()
        assert not session.scalars(select(Attempt.id).where(Attempt.actor == "")).all()
    assert (verdict.reason, verdict.summary, verdict.words, verdict.confidence) == ("", "", [], 0.9)
    with transaction() as session:
        assert not any(retention.delete_batch(session, rule) for rule in retention_actor.rules().values()), (
            "expired rows were left"
        )
    assert (mail.raw, mail.message_id, mail.sender) == (b"", "<1@x>", "ada@example.com")
    assert letters() == []
