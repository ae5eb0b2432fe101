"""RabbitMQ blocks publishers or refuses a queue: doctor, readiness and the alerts of the scheduler report it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pika
import pytest
from dramatiq.errors import ConnectionClosed
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from aura.jobs import heartbeat, process_state
from aura.jobs.broker import JobBroker
from aura.jobs.relay import Relay
from aura.settings import get_settings
from aura.web import health
from db import process_stats, reading, transaction
from db.jobs import NewJob
from db.models import Alert, Job
from pipelines.alerts import AlertWatcher
from tests.conftest import wait_until
from tests.embedded import all_jobs, enqueue, move
from tests.services import RabbitMQ

#: The Erlang expressions that raise a real alarm, and that end it.
ALARMS = {
    "memory": (
        "vm_memory_monitor:set_vm_memory_high_watermark(0.00001)",
        "vm_memory_monitor:set_vm_memory_high_watermark(0.4)",
    ),
    "disk": (
        "rabbit_disk_monitor:set_disk_free_limit(1000000000000000)",
        "rabbit_disk_monitor:set_disk_free_limit(1000000)",
    ),
}


@contextmanager
def alarm(rabbitmq: RabbitMQ, resource: str) -> Iterator[None]:
    """Have RabbitMQ find itself low on memory or disk."""
    begin, end = ALARMS[resource]
    rabbitmq.evaluate(begin)
    try:
        wait_until(lambda: resource in rabbitmq.evaluate("rabbit_alarm:get_alarms()"), 30, "the alarm is raised")
        yield
    finally:
        rabbitmq.evaluate(end)


@contextmanager
def relaying(service: JobBroker) -> Iterator[Relay]:
    """Run a relay in a thread."""
    stop = threading.Event()
    relay = Relay(service, service.transport(), get_settings())
    thread = threading.Thread(target=relay.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        stop.set()
        thread.join(60)


@pytest.fixture
def alerts(httpserver: HTTPServer, service: JobBroker, configure: Callable[..., Any]) -> list[tuple[str, str]]:
    """The alerts that the webhook of the operators received: the event with the name, and the detail."""
    received: list[tuple[str, str]] = []

    def answer(request: Request) -> Response:
        body = json.loads(request.data)
        received.append((f"{body['type']} {body['data']['alert']}", body["data"]["detail"]))
        return Response(status=204)

    httpserver.expect_request("/alerts", method="POST").respond_with_handler(answer)
    host = f"{httpserver.host}:{httpserver.port}"
    configure(AURA_ALERT_WEBHOOK_URL=f"http://{host}/alerts", AURA_WEBHOOK_HOSTS=host)
    return received


def reported() -> list[str]:
    with reading() as session:
        return process_stats.problems(session, 60)


def processing() -> str | None:
    answer = health.ready()
    assert answer.status_code == 200, "tickets are stored all the time"
    found: str | None = json.loads(bytes(answer.body)).get("processing")
    return found


@pytest.mark.parametrize("resource", ALARMS)
def test_an_alarm_is_reported_until_it_is_over(
    service: JobBroker, rabbitmq: RabbitMQ, alerts: list[tuple[str, str]], resource: str
):
    watch = AlertWatcher(lambda: True)
    with relaying(service):
        with alarm(rabbitmq, resource):
            # Given a relay that cannot publish, and a job that was due before
            enqueue(NewJob("classify", "1"))
            wait_until(reported, 60, "the relay reports its problem")

            # Then doctor and readiness report it
            assert f"blocks publishers: low on {resource}" in reported()[0]
            found = health.check_rabbitmq()
            assert not found.ok and f"low on {resource}" in found.detail and "alarms" in found.fix
            assert not health.check_work().ok and processing() == "failed"

            # And the scheduler alerts the operators: of the problem after two minutes, of the lag after five
            move(Job, due_at=-200)
            watch.check()
            assert alerts == [], "no condition holds for long"
            move(Alert, since=-400)
            watch.check()
            assert {"alert.firing AuraProcessProblem", "alert.firing AuraRelayLags"} <= {name for name, _ in alerts}
            assert f"low on {resource}" in dict(alerts)["alert.firing AuraProcessProblem"]
            assert not health.check_scheduler().ok
        # When it is over, the work goes on, and the operators know
        wait_until(lambda: [job.hinted_at for job in all_jobs()] != [None], 60, "the job is dispatched")
        wait_until(lambda: not reported(), 60, "the problem is over")
        watch.check()
        assert {"alert.resolved AuraProcessProblem", "alert.resolved AuraRelayLags"} <= {name for name, _ in alerts}
        assert health.check_rabbitmq().ok and processing() is None


def test_the_lag_of_a_job_never_falls_during_an_alarm(service: JobBroker, rabbitmq: RabbitMQ):
    def lag() -> float:
        with reading() as session:
            return process_stats.oldest_due_seconds(session)

    with alarm(rabbitmq, "memory"), relaying(service):
        enqueue(NewJob("classify", "1"))
        wait_until(reported, 60, "the relay reports its problem")
        lags = [wait_until(lag, 30, "the job is due")]
        wait_until(lambda: lags.append(lag()) or len(lags) > 300, 60, poll=0.02)
        assert lags == sorted(lags) and lags[-1] > lags[0] > 0


def test_a_queue_that_cannot_be_declared_is_reported_by_the_relay(service: JobBroker, rabbitmq_url: str):
    with closing(pika.BlockingConnection(pika.URLParameters(rabbitmq_url))) as connection:
        connection.channel().queue_declare("ai.classify", durable=True, arguments={"x-max-length": 7})
    with relaying(service):
        wait_until(reported, 60, "the relay reports its problem")
        assert "queue ai.classify: PRECONDITION_FAILED - inequivalent arg" in reported()[0]
        assert not health.check_work().ok and processing() == "failed"
        assert not health.check_rabbitmq().ok


def test_a_queue_that_cannot_be_consumed_is_reported_by_the_worker(
    service: JobBroker, rabbitmq: RabbitMQ, rabbitmq_url: str
):
    # Given a queue that this user may not read
    vhost = rabbitmq_url.rpartition("/")[2]
    rights = f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{vhost}">>, <<".*">>, <<".*">>, <<"{{}}">>, <<"t">>)'
    service.consume("ai.classify", 1, 1000).close()
    rabbitmq.evaluate(rights.format("^$"))

    with pytest.raises(ConnectionClosed, match="ACCESS_REFUSED"):
        service.consume("ai.classify", 1, 1000)
    with transaction() as session:  # as the heartbeat of a worker does
        heartbeat.beat(session, process_state.WORKER_ID, "worker", "; ".join(process_state.problems.values()))

    assert "ai.classify cannot be consumed" in reported()[0] and processing() == "failed"
    rabbitmq.evaluate(rights.format(".*"))
    service.consume("ai.classify", 1, 1000).close()
    assert process_state.problems == {}
