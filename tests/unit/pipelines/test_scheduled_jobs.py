"""The scheduled jobs: their schedule from the settings, retention, and runs that a person starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from actors import retention as retention_actor
from aura.settings import SettingsError
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
from pipelines.schedule import ScheduledJob
from pipelines.scheduled_jobs import SCHEDULE, backfill, enqueue_retention, run_now, schedule
from pipelines.scheduler import Scheduler
from tests.embedded import Hand, count, letters, move
from tests.unit.pipelines.test_scheduler import NOON, counting

# -- AURA_SCHEDULES ---------------------------------------------------------------------------------------------------


def written(configure: Callable[..., Any], tmp_path: Path, text: str) -> list[ScheduledJob]:
    (tmp_path / "times.yaml").write_text(text)
    configure(AURA_SCHEDULES=str(tmp_path / "times.yaml"), AURA_TIMEZONE="Europe/Berlin")
    return schedule()


def test_a_file_changes_times_and_zones_and_turns_jobs_off(configure: Callable[..., Any], tmp_path: Path):
    text = "reanalysis: {when: '30 1 * * mon-fri', zone: America/New_York}\nincidents: off\nrecovery: {zone: UTC}\n"

    jobs = {job.name: job for job in written(configure, tmp_path, text)}

    assert list(jobs) == [job.name for job in SCHEDULE]
    assert (jobs["reanalysis"].when, jobs["reanalysis"].zone) == ("30 1 * * mon-fri", "America/New_York")
    assert (jobs["recovery"].when, jobs["recovery"].zone) == ("* * * * *", "UTC")
    assert jobs["retention"].zone == "Europe/Berlin"
    assert [job.name for job in Scheduler(list(jobs.values())).jobs] == [name for name in jobs if name != "incidents"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lunch: {when: '0 12 * * *'}", "there is no job 'lunch'"),
        ("- reanalysis", "must hold lines such as"),
        ("reanalysis: {", "cannot be read"),
    ],
)
def test_an_invalid_file_is_named_in_the_error(configure: Callable[..., Any], tmp_path: Path, text: str, message: str):
    with pytest.raises(SettingsError) as caught:
        written(configure, tmp_path, text)
    assert str(caught.value).startswith(f"AURA_SCHEDULES: {tmp_path}/times.yaml")
    assert message in str(caught.value)


# -- retention --------------------------------------------------------------------------------------------------------


OLD = -400 * 86_400


@pytest.mark.usefixtures("database")
def test_expired_rows_and_texts_are_deleted_in_batches(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    # Given two batches of attempts, and one of everything else
    row = {"ticket_id": None, "event": "", "channel": "email", "recipient": "", "subject": "", "body": ""}
    ledger = {"job_id": 1, "actor": "", "key": "", "number": 1, "worker": "", "outcome": "completed", "seconds": 0.1}
    verdict = {
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
                ticket_id=ticket.id, reason="VPN", summary="s", words=["w"], needs_review=False, model="m", **verdict
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

    # When nothing is old, nothing goes
    enqueue_retention()
    hand.run()
    assert (count(AiCall), count(InboundMail), count(Notification), max(batches)) == (1, 1, 2, 4)
    # When all of it is
    for model, column in ((Attempt, "created_at"), (VerdictRecord, "created_at"), (AiCall, "created_at"),
                          (InboundMail, "created_at"), (Notification, "created_at"), (IdempotencyKey, "created_at"),
                          (ScheduleRun, "started_at")):  # fmt: skip
        move(model, **{column: OLD})
    enqueue_retention()
    hand.run()

    # Then no transaction is long: a batch at a time, of samples with the rest of its minute
    assert max(batches) <= 4
    # And completed jobs are deleted, unsent notifications stay, and a verdict keeps its figures
    gone = (AiCall, IdempotencyKey, ScheduleRun, MetricSample)
    assert [count(model) for model in gone] == [0] * len(gone)
    with reading() as session:
        assert session.scalars(select(Notification.id)).all() == ["enqueued"]
        verdict, mail = session.scalars(select(VerdictRecord)).one(), session.scalars(select(InboundMail)).one()
        assert not session.scalars(select(Attempt.id).where(Attempt.actor == "")).all()
    assert (verdict.reason, verdict.summary, verdict.words, verdict.confidence) == ("", "", [], 0.9)
    with transaction() as session:
        assert not any(retention.delete_batch(session, rule) for rule in retention_actor.rules().values()), (
            "nothing is found twice"
        )
    assert (mail.raw, mail.message_id, mail.sender) == (b"", "<1@x>", "ada@example.com")
    assert letters() == []


# -- runs that a person starts ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_a_missed_run_is_backfilled_once(monkeypatch: pytest.MonkeyPatch):
    job, ran = counting("recovery")
    first = Scheduler([job])
    first.tick(NOON)
    first.tick(NOON + timedelta(minutes=1))
    first.stop()
    later = Scheduler([job])
    later.tick(NOON + timedelta(minutes=5))
    later.stop()

    done = []
    for limit in (2, 100, 100):
        with transaction() as session:
            done.append(backfill(session, job, limit))

    assert done == [2, 1, 0]
    assert len(ran) == 5
    assert Scheduler([job]).tick(NOON + timedelta(minutes=5)) == []


@pytest.mark.usefixtures("database")
def test_a_run_by_hand_does_not_replace_the_next_scheduled_run():
    job, ran = counting("recovery")
    scheduler = Scheduler([job])
    scheduler.tick(NOON)

    with transaction() as session:
        assert run_now(session, job) == 1

    assert scheduler.tick(NOON + timedelta(minutes=1)) == ["recovery"]
    assert len(ran) == 2
