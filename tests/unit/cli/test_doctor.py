"""`aura doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from aura.settings import get_settings
from aura.web import health
from db import alerts, leader_election, queue_controls, transaction, workers
from db.jobs import NewJob
from db.models import Job, Worker
from tests.commands import Run
from tests.embedded import enqueue, move
from tests.services import free_port


@pytest.mark.usefixtures("sqlite")
def test_all_checks_pass_in_embedded_mode(run: Run):
    result = run("doctor")
    rows = run("doctor", "--format", "json").json()

    assert result.code == 0
    assert "FAIL" not in result.out
    assert {"settings", "database", "rabbitmq", "redis", "openai"} <= {row["name"] for row in rows}
    assert all(row["ok"] for row in rows)


@pytest.mark.usefixtures("sqlite")
def test_an_unavailable_service_fails_with_a_fix(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RABBITMQ_URL", f"amqp://aura:hunter2@127.0.0.1:{free_port()}/")
    monkeypatch.setenv("REDIS_URL", f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    get_settings.cache_clear()

    result = run("doctor", "--format", "json")

    assert result.code == 1
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert {name for name, row in rows.items() if not row["ok"]} == {"rabbitmq", "redis"}
    assert rows["rabbitmq"]["fix"] == "start RabbitMQ, or correct RABBITMQ_URL"
    assert "hunter2" not in result.out + run("doctor").out


@pytest.mark.usefixtures("sqlite")
def test_the_storage_of_attachments_is_written_and_read(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def storage(folder: Path) -> dict[str, Any]:
        monkeypatch.setenv("AURA_ATTACHMENTS_FOLDER", str(folder))
        get_settings.cache_clear()
        rows = json.loads(run("doctor", "--format", "json").out)
        return next(row for row in rows if row["name"] == "attachments")

    monkeypatch.setenv("AURA_ATTACHMENTS", "folder")
    (tmp_path / "file").touch()

    assert storage(tmp_path / "files") == {
        "name": "attachments", "ok": True, "detail": f"folder: {tmp_path / 'files'}", "fix": ""
    }  # fmt: skip
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    failed = storage(tmp_path / "file")
    assert (
        not failed["ok"] and str(tmp_path / "file") in failed["detail"] and "AURA_ATTACHMENTS_FOLDER" in failed["fix"]
    )


@pytest.mark.usefixtures("sqlite")
def test_the_package_that_reads_pdfs_is_missed_when_they_are_read(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "find_spec", lambda name: None)
    assert run("doctor").code == 0
    monkeypatch.setenv("AURA_CLASSIFY_ATTACHMENTS", "true")
    get_settings.cache_clear()

    result = run("doctor")

    assert result.code == 1 and "aura-desk[pdf]" in result.out


@pytest.mark.usefixtures("sqlite")
def test_due_jobs_without_a_relay_fail_the_check(run: Run):
    def work() -> tuple[bool, str]:
        (row,) = [row for row in json.loads(run("doctor", "--format", "json").out) if row["name"] == "work"]
        return row["ok"], row["fix"]

    enqueue(NewJob("classify", "1"))
    assert work() == (True, "")
    move(Job, due_at=-120)
    assert work() == (False, "start `aura worker` or `aura run`")
    with transaction() as session:
        workers.beat(session, "r" * 32, "desk:1", "relay")
    assert work() == (True, "")


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (200, ""),
        (401, "the provider refuses the key"),
        (404, "the provider has no model never-made"),
        (500, "InternalServerError"),
    ],
)
def test_the_key_and_the_model_of_openai_are_checked(
    configure: Callable[..., Any], httpserver: HTTPServer, status: int, detail: str
):
    model = {"id": "never-made", "object": "model", "created": 1, "owned_by": "nobody"}
    httpserver.expect_request("/v1/models/never-made").respond_with_json(model, status=status)
    configure(OPENAI_API_KEY="sk-hunter2", OPENAI_BASE_URL=httpserver.url_for("/v1"), AI_MODEL="never-made")

    found = health.check_openai()

    assert (found.ok, found.detail) == (not detail, detail or "model never-made")
    assert bool(found.fix) != found.ok


def test_a_missing_redis_fails_the_check_when_processes_share_a_remote_engine_on_sqlite(configure: Callable[..., Any]):
    service = {"RABBITMQ_URL": "amqp://a:b@127.0.0.1:1/", "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/a"}
    configure(**service)
    assert health.check_redis().ok
    configure(**service, OPENAI_API_KEY="k")
    assert health.check_redis().ok
    assert "PostgreSQL counts the AI costs" in health.check_redis().detail
    configure(**service | {"DATABASE_URL": "sqlite:///aura.db"}, OPENAI_API_KEY="k")
    assert (health.check_redis().ok, health.check_redis().fix) == (False, "set REDIS_URL, or use PostgreSQL")


def test_an_unavailable_redis_is_named_with_the_reason(configure: Callable[..., Any]):
    configure(REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    found = health.check_redis()
    assert not found.ok
    assert "refused" in found.detail
    assert "hunter2" not in found.detail


@pytest.mark.usefixtures("sqlite")
class TestWork:
    def test_jobs_in_the_future_that_were_never_tried_are_named(self):
        enqueue(NewJob("classify", "1"), NewJob("classify", "2", delay=600))
        assert health.check_work().ok
        move(Job, created_at=600, due_at=600)
        found = health.check_work()
        assert (found.ok, "2 jobs due in the future though never tried" in found.detail) == (False, True)

    def test_late_work_fails_the_check_although_a_relay_runs(self):
        with transaction() as session:
            workers.beat(session, "r", "host:2", "relay")
            workers.beat(session, "w", "host:1")
        enqueue(NewJob("classify", "1"))
        move(Job, due_at=-health.STUCK_AFTER - 1)
        assert health.check_work().ok, "the relay just started"
        move(Worker, started_at=-health.STUCK_AFTER - 1)
        assert not health.check_work().ok
        with transaction() as session:
            queue_controls.pause(session, "ai.classify")
        assert health.check_work().ok

    def test_queued_jobs_without_a_worker_fail_the_check(self):
        enqueue(NewJob("classify", "1"))
        move(Job, due_at=-health.STUCK_AFTER - 1, hinted_at=-health.STUCK_AFTER)
        assert (health.check_work().ok, health.check_work().fix) == (False, "start `aura worker` or `aura run`")


@pytest.mark.usefixtures("sqlite")
def test_a_missing_scheduler_fails_the_check_where_processes_run():
    assert health.check_scheduler().ok
    with transaction() as session:
        workers.beat(session, "w", "host:1")
    assert (health.check_scheduler().ok, health.check_scheduler().detail) == (False, "no scheduler leads")
    with transaction() as session:
        leader_election.acquire(session, "scheduler", "a", 60)
    assert (health.check_scheduler().ok, health.check_scheduler().detail) == (True, "leads")
    with transaction() as session:
        alerts.record(session, {"AuraBudget": ("9 of 10 are spent", 0)})
    assert "AuraBudget since" in health.check_scheduler().detail
    assert not health.check_scheduler().ok


def test_missing_tables_and_a_missing_database_fail_the_check(run: Run, sqlite_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=sqlite_url)
    result = run("doctor")
    assert result.code == 1
    assert "-> run `aura migrate`" in result.out

    configure(DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")
    result = run("doctor")
    assert result.code == 1
    assert "-> start PostgreSQL, or correct DATABASE_URL" in result.out
    assert "hunter2" not in result.out


def test_an_invalid_setting_fails_the_check_without_its_value(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://aura:hunter2@host/aura")

    doctor = run("doctor", "--format", "json")

    assert doctor.code == 1
    (row,) = json.loads(doctor.out)
    assert (row["name"], row["ok"]) == ("settings", False)
    assert "DATABASE_URL" in row["detail"]
    assert "hunter2" not in doctor.out
