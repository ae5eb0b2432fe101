"""The heartbeat thread: it beats at once, at intervals, whatever a beat raises, until it is stopped."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from aura.jobs.heartbeat import HeartbeatThread, beat
from db import reading, transaction
from db.models import Worker
from tests.conftest import wait_until


def test_the_first_beat_is_over_when_the_thread_starts():
    beats: list[str] = []
    heartbeat = HeartbeatThread(lambda: beats.append(threading.current_thread().name), 3600, "heartbeat")

    heartbeat.start()
    heartbeat.stop()

    assert beats == [threading.current_thread().name]


@pytest.mark.parametrize("error", [OperationalError("UPDATE", {}, Exception("away")), RuntimeError("a bug")])
def test_a_heartbeat_goes_on_after_a_failed_beat(error: Exception):
    beats: list[int] = []

    def fail() -> None:
        beats.append(1)
        raise error

    heartbeat = HeartbeatThread(fail, 0.001, "heartbeat")
    heartbeat.start()
    wait_until(lambda: len(beats) > 2, 10, "further beats")

    heartbeat.stop()

    wait_until(lambda: not heartbeat._thread.is_alive(), 10, "the end of the thread")


def test_a_stop_waits_for_a_beat_that_has_begun():
    beginning, events = threading.Event(), []

    def slow() -> None:
        if threading.current_thread() is not threading.main_thread():
            beginning.set()
            stopped.wait(10)
            events.append("beat")

    heartbeat = HeartbeatThread(slow, 0.001, "heartbeat")
    stopped = heartbeat._stop
    heartbeat.start()
    assert beginning.wait(10)

    heartbeat.stop()

    assert events == ["beat"]


@pytest.mark.usefixtures("database")
def test_a_beat_names_the_machine_and_the_process():
    with transaction() as session:
        assert beat(session, "w" * 32, "relay").drains is False

    with reading() as session:
        row = session.scalars(select(Worker)).one()
    assert (row.name, row.kind) == (f"{socket.gethostname()}:{os.getpid()}", "relay")
