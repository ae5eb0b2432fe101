"""Workers: what each says of itself, and how one is asked to finish what it holds and end."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from aura import VERSION
from aura.jobs.middleware import heartbeat, shutdown
from aura.jobs.process_state import WORKER_ID
from aura.settings import get_settings
from aura.web import health
from db import audit, notifications, reading, transaction, workers
from db.models import Notification, Worker
from tests.commands import Run
from tests.conftest import wait_until
from tests.unit.web.clients import local_client

pytestmark = pytest.mark.usefixtures("sqlite")

A, B, RELAY = "a" * 32, "b" * 32, "c" * 32


def beat(worker: str, name: str, kind: str = "worker") -> bool:
    with transaction() as session:
        return workers.beat(session, worker, name, kind)


def test_a_worker_is_drained_by_name_id_or_page_and_hears_it_at_its_next_beat(run: Run):
    # Given two workers and a relay
    assert not any([beat(A, "desk:1"), beat(B, "desk:2"), beat(RELAY, "desk:3", "relay")])

    # When one is drained by its name, and the page and the API are asked for the other
    assert "desk:1 drains" in run("workers", "drain", "desk:1").out
    browser = local_client()
    page = browser.get("/workers").text
    assert browser.post(f"/api/v1/workers/{B}/drain").json() == {"draining": "desk:2"}

    # Then each hears it, and again if it was lost; the relay does not
    assert [beat(A, "desk:1"), beat(A, "desk:1"), beat(B, "desk:2"), beat(RELAY, "desk:3", "relay")] == [True] * 3 + [
        False
    ]
    assert page.count(f"/workers/{B}/drain") == 1
    assert f"/workers/{A}/drain" not in page
    assert f"/workers/{RELAY}/drain" not in page
    assert page.count(VERSION) == 3
    rows = {row["name"]: row for row in run("workers", "list", "--format", "json").json()}
    assert [bool(rows[name]["drain_at"]) for name in ("desk:1", "desk:2", "desk:3")] == [True, True, False]
    # and who did it is known
    with reading() as session:
        done = [(row["action"], row["subject"]) for row in audit.listing(session)]
    assert done == [("worker.drain", f"worker/{B}"), ("worker.drain", "worker/desk:1")]


def test_the_button_asks_too(run: Run):
    beat(A, "desk:1")
    browser = local_client()
    token = browser.get("/api/v1/session").json().get("csrf", "")
    answer = browser.post(f"/workers/{A}/drain", data={"csrf": token}, follow_redirects=False)
    assert (answer.status_code, beat(A, "desk:1")) == (303, True)
    with reading() as session:
        assert [row["action"] for row in audit.listing(session)] == ["worker.drain"]


@pytest.mark.parametrize("who", ["desk:3", "nobody"])
def test_a_relay_or_nobody_is_not_drained(run: Run, who: str):
    beat(RELAY, "desk:3", "relay")
    result = run("workers", "drain", who)
    assert (result.code, result.out) == (1, "")
    assert f"there is no worker {who}" in result.err
    assert local_client().post(f"/api/v1/workers/{who}/drain").status_code == 404
    with reading() as session:
        assert audit.listing(session) == []


def test_a_heartbeat_that_hears_it_ends_the_command_once_and_beats_on(monkeypatch: pytest.MonkeyPatch):
    # Given a worker with its heartbeat
    signals: list[int] = []
    monkeypatch.setattr(heartbeat, "EVERY", 0.01)
    monkeypatch.setattr(shutdown.os, "kill", lambda _pid, number: signals.append(number))
    heart: Any = heartbeat.Heartbeat()
    heart.before_worker_boot(None, None)

    # When it is drained
    with transaction() as session:
        workers.drain(session, WORKER_ID)

    def heard() -> Any:
        with reading() as session:
            return session.execute(select(Worker.heartbeat_at).where(Worker.id == WORKER_ID)).scalar_one()

    # Then the command is returned once, and the heartbeat goes on: other workers must not take its jobs
    wait_until(lambda: signals == [signal.SIGTERM], 5, "it did not hear")
    last = heard()
    wait_until(lambda: heard() > last, 5, "it beats no more")
    heart.after_worker_shutdown(None, None)
    assert signals == [signal.SIGTERM]


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


def test_the_version_is_listed(run: Run):
    assert run("--version").out == f"aura {VERSION}\n"
