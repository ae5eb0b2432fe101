"""Heartbeat of a worker: its row is fresh, its leases are those of its attempts, and it hears a drain."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from sqlalchemy import select

import actors
from aura.jobs import process_state
from aura.jobs.middleware import heartbeat, shutdown
from aura.jobs.process_state import WORKER_ID
from db import reading, transaction, workers
from db.models import Worker
from tests.conftest import wait_until
from tests.embedded import Hand, attempts, count
from tests.unit.jobs.tickets import Declare, one_each

pytestmark = pytest.mark.usefixtures("database")


def test_a_worker_has_its_row_before_its_threads_claim():
    broker = actors.broker
    broker.emit_before("worker_boot", None)
    try:
        assert count(Worker) == 1
    finally:
        broker.emit_before("worker_shutdown", None)
        broker.emit_after("worker_shutdown", None)
    assert count(Worker) == 0


def test_the_heartbeat_releases_no_running_attempt(hand: Hand, declare: Declare):
    def beat_meanwhile(items: list[Any]) -> list[str]:
        heartbeat.beat()
        return one_each(items)

    declare(beat_meanwhile).send(1)
    hand.run()

    assert [attempt.outcome for attempt in attempts()] == ["completed"]


def test_a_heartbeat_of_a_drained_worker_stops_the_command_once_and_goes_on(monkeypatch: pytest.MonkeyPatch):
    # Given a worker with its heartbeat
    signals: list[int] = []
    monkeypatch.setattr(heartbeat, "EVERY", 0.01)
    monkeypatch.setattr(shutdown.os, "kill", lambda _pid, number: signals.append(number))
    heart: Any = heartbeat.Heartbeat()
    heart.before_worker_boot(None, None)

    def heard() -> Any:
        with reading() as session:
            return session.execute(select(Worker.heartbeat_at).where(Worker.id == WORKER_ID)).scalar_one()

    try:
        # When it is drained
        with transaction() as session:
            workers.drain(session, WORKER_ID)
        # Then the command is returned once, and the heartbeat goes on: other workers must not take its jobs
        wait_until(lambda: signals == [signal.SIGTERM], message="it did not hear")
        last = heard()
        wait_until(lambda: heard() > last, message="it beats no more")
    finally:
        heart.after_worker_shutdown(None, None)
    assert signals == [signal.SIGTERM]


def test_a_worker_beats_less_often_while_it_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch):
    beats: list[float] = []
    clock = [100.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(heartbeat, "beat", lambda: beats.append(clock[0]))
    heart = heartbeat.Heartbeat()

    def seconds(count: int) -> list[float]:
        beats.clear()
        for _ in range(count):
            clock[0] += 1.0
            heart.beat()
        return [at - clock[0] + count for at in beats]

    assert seconds(7) == [1, 4, 7], "idle"
    monkeypatch.setitem(process_state.attempts, "lease", None)
    assert seconds(4) == [1, 2, 3, 4], "an attempt runs"
    monkeypatch.delitem(process_state.attempts, "lease")
    assert seconds(5) == [1, 4], "the first beat after it releases its lease"
