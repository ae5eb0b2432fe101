"""Health: liveness, readiness, and the checks of `aura doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aura.settings import get_settings
from aura.web import database_health, health
from db import jobs, notifications, queue_controls, reading, transaction, workers
from db.database import dispose, engine
from db.jobs import NewJob
from db.models import IdempotencyKey, Job, Notification, Worker
from db.time import from_now
from tests.services import free_port
from tests.unit.web.clients import anonymous_client


def test_liveness_does_not_depend_on_the_database(configure: Any):
    configure(DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/aura")

    assert anonymous_client().get("/health/live").json() == {"status": "alive"}


def test_readiness_with_a_migrated_database(web: TestClient):
    answer = web.get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "database": "ok"})


def test_readiness_says_when_accepted_tickets_are_not_processed(web: TestClient):
    with transaction() as session:
        workers.beat(session, "r", "host:1", "relay", "relay: RabbitMQ blocks publishers: low on memory")
    answer = web.get("/health/ready")

    # a load balancer still sends tickets: they are stored, and wait
    expected = {"status": "ready", "database": "ok", "processing": "failed"}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert "low on memory" in health.check_work().detail


def test_work_that_no_process_does_is_named_unless_its_queue_is_paused(web: TestClient):
    with transaction() as session:
        jobs.enqueue(session, [NewJob("classify", "1")])
        session.execute(Job.__table__.update().values(due_at=from_now(-600), hinted_at=from_now(-500)))
        for kind in ("worker", "relay"):
            workers.beat(session, kind, "host:1", kind)
    assert health.check_work().ok, "processes that just started"
    with transaction() as session:
        session.execute(Worker.__table__.update().values(started_at=from_now(-600)))
    found = health.check_work()
    assert not found.ok and "no job was processed for 60 s" in found.detail

    with transaction() as session:
        queue_controls.pause(session, "ai.classify", 3600, "test")
    assert health.check_work().ok


def test_readiness_without_tables(database_url: str, configure: Any):
    configure(DATABASE_URL=database_url)
    try:
        answer = anonymous_client().get("/health/ready")
    finally:
        dispose()

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "database": "failed", "code": "database_outdated"}


def test_readiness_shows_no_name_user_or_host(configure: Any):
    port = free_port()
    configure(DATABASE_URL=f"postgresql://secretuser:secretword@127.0.0.1:{port}/secretname")
    try:
        answer = anonymous_client().get("/health/ready")
        found = health.check_database()
    finally:
        dispose()

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "database": "failed", "code": "database_unavailable"}
    assert "secretname" in found.detail, "the doctor says it"
    assert "secretword" not in found.detail


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_readiness_does_not_wait_for_a_writer(web: TestClient):
    with transaction() as session:
        session.add(IdempotencyKey(key="k", fingerprint="", ticket_id=1))
        session.flush()
        assert web.get("/health/ready").status_code == 200
    assert database_health.probe_of(engine()).wait_until_ended(30)


@pytest.mark.usefixtures("sqlite")
def test_doctor_counts_notifications_in_doubt_and_connects_to_the_mailbox(configure: Callable[..., Any]):
    assert "no notification" in health.check_in_doubt().detail
    with transaction() as session:
        row = {"event": "ticket.classified", "channel": "slack", "recipient": "ops", "subject": "s", "body": "b"}
        session.add(Notification(id="n" * 32, dedupe_key="k", state="in_doubt", **row))
    found = health.check_in_doubt()
    assert (found.ok, found.detail) == (True, "1 notification in doubt: sent or not, the channel did not say")
    assert "aura notifications list --state in_doubt" in found.fix
    with reading() as session:
        assert notifications.in_doubt_count(session) == 1

    assert health.check_imap().detail.startswith("AURA_IMAP_URL is not set")
    configure(
        AURA_IMAP_URL="imap://desk:hunter2@127.0.0.1:1/INBOX",
        DATABASE_URL=get_settings().database_url.get_secret_value(),
    )
    away = health.check_imap()
    assert not away.ok
    assert "hunter2" not in json.dumps([away.detail, away.fix])


def test_doctor_says_whether_the_senders_of_mails_are_verified(configure: Callable[..., Any]):
    assert health.check_mail_senders().fix == "", "no mail is received"
    configure(AURA_IMAP_URL="imaps://desk:x@mail.example.org/INBOX")
    assert "AURA_TRUSTED_AUTHSERV" in health.check_mail_senders().fix
    configure(AURA_TRUSTED_AUTHSERV="mx.example.org", AURA_MAIL_DMARC_FAILED="refuse")
    found = health.check_mail_senders()
    assert (found.detail, found.fix) == ("verified by mx.example.org; mails of other senders are refused", "")
