"""Alerts: each start and each end of a condition is sent once, by mail and webhook of the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from werkzeug import Request, Response

from db import alerts, reading, transaction, workers
from db.models import Alert
from pipelines import alert_rules
from pipelines.alerts import AlertWatcher
from tests.embedded import move

pytestmark = pytest.mark.usefixtures("database")


class Hook:
    """A webhook of the operators that records what it gets."""

    def __init__(self, server: HTTPServer) -> None:
        self.status, self.received, self.ids = 204, list[dict[str, Any]](), list[str]()
        server.expect_request("/alerts", method="POST").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.received.append(json.loads(request.data))
        return Response(status=self.status)

    def types(self) -> list[str]:
        return [f"{each['type']} {each['data']['alert']}" for each in self.received]


@pytest.fixture
def hook(httpserver: HTTPServer, configure: Callable[..., Any]) -> Hook:
    host = f"{httpserver.host}:{httpserver.port}"
    configure(
        AURA_ALERT_WEBHOOK_URL=f"http://{host}/alerts",
        AURA_WEBHOOK_HOSTS=host,
        RABBITMQ_URL="amqp://127.0.0.1/",
    )
    return Hook(httpserver)


def watcher() -> AlertWatcher:
    return AlertWatcher(lambda: True)


def run_processes() -> None:
    with transaction() as session:
        workers.beat(session, "w", "host:1")
        workers.beat(session, "r", "host:2", "relay")


def pass_minutes(minutes: float) -> None:
    """Move the beginning of every condition into the past."""
    move(Alert, since=-60 * minutes)


def test_a_condition_is_sent_once_when_it_lasts_and_again_when_it_ends(hook: Hook):
    watch = watcher()
    watch.check()
    assert hook.received == []

    pass_minutes(3)
    for _ in range(3):
        watch.check()
    assert hook.types() == ["alert.firing AuraNoRelay", "alert.firing AuraNoWorkers"]
    with reading() as session:
        assert [each.name for each in alerts.firing(session)] == ["AuraNoRelay", "AuraNoWorkers"]

    hook.received.clear()
    run_processes()
    for _ in range(3):
        watch.check()
    assert hook.types() == ["alert.resolved AuraNoRelay", "alert.resolved AuraNoWorkers"]
    assert all(each["data"]["until"] for each in hook.received)


def test_a_condition_that_ends_before_its_time_is_not_sent(hook: Hook):
    watch = watcher()
    watch.check()
    run_processes()
    watch.check()
    pass_minutes(10)
    move(workers.Worker, heartbeat_at=-3600)
    watch.check()

    assert hook.received == []


def test_a_condition_that_returns_is_sent_again(hook: Hook):
    watch = watcher()
    for alive in (False, True, False):
        if alive:
            run_processes()
        else:
            move(workers.Worker, heartbeat_at=-3600)
        watch.check()
        pass_minutes(3)
        watch.check()

    assert [each for each in hook.types() if "Workers" in each] == [
        "alert.firing AuraNoWorkers",
        "alert.resolved AuraNoWorkers",
        "alert.firing AuraNoWorkers",
    ]


def test_an_alert_that_no_channel_takes_is_sent_again_with_its_id(hook: Hook, httpserver: HTTPServer):
    watch = watcher()
    watch.check()
    pass_minutes(3)
    hook.status = 503
    watch.check()
    hook.status = 204
    watch.check()
    watch.check()

    assert len(hook.received) == 4
    assert hook.received[:2] == hook.received[2:]


def test_another_scheduler_sends_nothing_again(hook: Hook):
    watcher().check()
    pass_minutes(3)
    watcher().check()
    watcher().check()
    AlertWatcher(lambda: False).check()

    assert len(hook.received) == 2


def test_without_a_channel_alerts_are_logged(configure: Callable[..., Any]):
    configure(RABBITMQ_URL="amqp://127.0.0.1/")
    watcher().check()
    pass_minutes(3)
    with capture_logs() as logs:
        watcher().check()
        watcher().check()
    assert [line["event"] for line in logs] == ["alert firing", "alert firing"]


def test_a_database_that_does_not_answer_is_an_alert(
    hook: Hook, httpserver: HTTPServer, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    watch = watcher()
    run_processes()
    watch.check()
    with monkeypatch.context() as broken:
        broken.setattr("pipelines.alerts.transaction", _away)
        watch.check()
        assert hook.received == []
        assert watch._away_since is not None
        watch._away_since -= alert_rules.DATABASE_DOWN_AFTER
        watch.check()
        watch.check()
    assert hook.types() == ["alert.firing AuraDatabaseDown"]
    assert "hunter2" not in json.dumps(hook.received)
    watch.check()
    watch.check()
    assert hook.types() == ["alert.firing AuraDatabaseDown", "alert.resolved AuraDatabaseDown"]


def _away() -> Any:
    raise OperationalError("SELECT 1", {"password": "hunter2"}, Exception("connection refused"))
