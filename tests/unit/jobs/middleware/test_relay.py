"""The relay of a worker command: started and watched by it, and stopped with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from dramatiq.middleware import MiddlewareError

import actors
from aura.jobs import process_state, relay
from aura.jobs.middleware import relay as middleware
from aura.jobs.middleware.relay import RelayMiddleware
from aura.jobs.program import Program
from db import transaction, workers
from db.jobs import NewJob
from tests.conftest import wait_until
from tests.embedded import all_jobs, enqueue, mark_hinted

WORKER: Any = None


def test_an_embedded_worker_runs_no_fork_and_another_one_forks_the_relay(configure: Callable[..., Any]):
    assert RelayMiddleware().forks == []

    configure(RABBITMQ_URL="amqp://a:b@127.0.0.1:1/", DATABASE_URL="postgresql://a:b@127.0.0.1:1/a")
    assert RelayMiddleware().forks == [relay.main]


def test_a_missing_module_of_the_program_stops_the_boot_with_its_name():
    broker = type("Broker", (), {"program": Program(modules=("json", "no_such_module"))})()

    with pytest.raises(MiddlewareError, match="no_such_module"):
        RelayMiddleware().before_worker_boot(broker, WORKER)


@pytest.mark.usefixtures("sqlite")
def test_an_embedded_relay_dispatches_lost_hints_and_new_jobs_until_the_worker_stops():
    running = RelayMiddleware()
    enqueue(NewJob("classify", "1"))
    mark_hinted()  # by a process that ended
    running.after_worker_boot(actors.broker, WORKER)
    queue = actors.broker.local.queues["ai.classify"]
    wait_until(queue.qsize, 10, "the lost hint")
    enqueue(NewJob("classify", "2"))
    wait_until(lambda: queue.qsize() == 2, 10, "the new job")

    running.before_worker_shutdown(actors.broker, WORKER)

    assert process_state.on_enqueue == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "relay"] == []
    assert len(all_jobs()) == 2


@pytest.mark.usefixtures("sqlite")
def test_the_watch_stops_the_command_without_a_relay_and_waits_longer_at_the_boot(monkeypatch: pytest.MonkeyPatch):
    stopped: list[int] = []
    checks: list[str] = []
    count = middleware.count_live
    monkeypatch.setattr(middleware, "WATCH_EVERY", 0.001)
    monkeypatch.setattr(middleware, "BOOT_CHECKS", 4)
    monkeypatch.setattr(middleware, "stop_command", lambda: stopped.append(len(checks)))
    monkeypatch.setattr(middleware, "count_live", lambda *given: checks.append("") or count(*given))
    _beat()

    RelayMiddleware()._watch(threading.Event())

    assert stopped == [4 + middleware.MISSING_LIMIT]


@pytest.mark.usefixtures("sqlite")
def test_the_watch_waits_while_the_database_stores_no_heartbeat_of_its_own_worker(monkeypatch: pytest.MonkeyPatch):
    stopped: list[str] = []
    checks: list[str] = []
    is_alive = middleware.workers.is_alive
    monkeypatch.setattr(middleware, "WATCH_EVERY", 0.001)
    monkeypatch.setattr(middleware, "BOOT_CHECKS", 0)
    monkeypatch.setattr(middleware, "stop_command", lambda: stopped.append("stopped"))
    monkeypatch.setattr(middleware.workers, "is_alive", lambda *given: checks.append("") or is_alive(*given))
    stop = threading.Event()
    thread = threading.Thread(target=RelayMiddleware()._watch, args=(stop,))
    thread.start()  # neither a relay nor the worker has a heartbeat, as after a minute of a read-only database
    wait_until(lambda: len(checks) > 3 * middleware.MISSING_LIMIT, 10, "several checks")
    assert (thread.is_alive(), stopped) == (True, [])

    _beat()
    thread.join(10)

    assert (thread.is_alive(), stopped) == (False, ["stopped"])


def _beat() -> None:
    with transaction() as session:
        workers.beat(session, process_state.WORKER_ID, "a worker", "worker")


@pytest.mark.usefixtures("sqlite")
def test_the_watch_of_a_living_relay_ends_with_the_worker(monkeypatch: pytest.MonkeyPatch):
    stopped: list[str] = []
    monkeypatch.setattr(middleware, "WATCH_EVERY", 0.001)
    monkeypatch.setattr(middleware, "BOOT_CHECKS", 0)
    monkeypatch.setattr(middleware, "stop_command", lambda: stopped.append("stopped"))
    with transaction() as session:
        workers.beat(session, "r" * 32, "a relay", "relay")
    stop, watch = threading.Event(), RelayMiddleware()
    counted: list[str] = []
    count = middleware.count_live
    monkeypatch.setattr(middleware, "count_live", lambda *given: counted.append("") or count(*given))
    thread = threading.Thread(target=watch._watch, args=(stop,))
    thread.start()
    wait_until(lambda: len(counted) > 2 * middleware.MISSING_LIMIT, 10, "several checks")
    stop.set()
    thread.join(10)

    assert (thread.is_alive(), stopped) == (False, [])
