"""The alert rules: which condition of the database holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from db import fence, inbound_mails, reading, transaction, workers
from db.jobs import NewJob
from db.models import Attempt, AuditEntry, DeadLetter, InboundMail, Job, OutboxEvent
from db.new_tickets import NewTicket
from pipelines import alert_rules
from tests.conftest import ROOT
from tests.embedded import enqueue, move
from tests.unit.db.helpers import create
from tests.unit.db.test_ai_costs import call

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def processes(database: Any, configure: Callable[..., Any]) -> None:
    """A worker and a relay beside RabbitMQ."""
    configure(RABBITMQ_URL="amqp://127.0.0.1/")
    with transaction() as session:
        workers.beat(session, "w", "host:1")
        workers.beat(session, "r", "host:2", "relay")


def holding() -> set[str]:
    with reading() as session:
        return set(alert_rules.evaluate(session))


def add(*rows: Any) -> None:
    with transaction() as session:
        session.add_all(rows)


def attempt(outcome: str) -> Attempt:
    return Attempt(job_id=1, actor="email", key="a", number=1, worker="w", outcome=outcome, seconds=1.0)


def test_late_work_and_a_relay_that_lags_are_found():
    enqueue(NewJob("classify", "1"))
    assert holding() == set()
    move(Job, due_at=-121)
    assert holding() == {"AuraRelayLags"}
    move(Job, due_at=-301)
    assert holding() == {"AuraRelayLags", "AuraWorkWaits"}


def test_hints_that_nobody_claims_are_late_work():
    enqueue(NewJob("classify", "1"))
    move(Job, due_at=-400, hinted_at=-400)
    assert holding() == {"AuraWorkWaits"}


def test_jobs_in_the_future_are_found():
    enqueue(NewJob("classify", "1"))
    move(Job, created_at=600, due_at=600)
    assert holding() == {"AuraTimeJump"}


def test_a_process_that_cannot_work_is_found():
    with transaction() as session:
        workers.beat(session, "w", "host:1", problem="RabbitMQ blocks publishers: memory alarm")
    assert holding() == {"AuraProcessProblem"}


def test_a_promoted_database_is_found_for_an_hour():
    add(AuditEntry(who="aura", action=fence.PROMOTED, subject="database", details={}))
    assert holding() == {"AuraDatabaseFailover"}
    move(AuditEntry, at=-3601)
    assert holding() == set()


def test_events_that_wait_are_found():
    add(OutboxEvent(id="0" * 32, routing_key="x", subject="s", data={}))
    move(OutboxEvent, created_at=-301)
    assert holding() == {"AuraEventsWait"}


def test_failed_attempts_and_crashes_are_found():
    add(*[attempt("completed") for _ in range(8)], attempt("retried"), attempt("retried"))
    assert holding() == set()
    add(attempt("retried"))
    assert holding() == {"AuraRetries"}
    add(*[attempt("completed") for _ in range(90)], *[attempt("crashed") for _ in range(21)])
    assert holding() == {"AuraWorkersCrash"}
    move(Attempt, created_at=-3600)
    assert holding() == set()


def test_new_dead_letters_are_found_until_they_are_resolved():
    letters = [DeadLetter(actor="email", key="a", error_type="E", error="e", fingerprint="f") for _ in range(11)]
    add(*letters[:10])
    assert holding() == set()
    add(letters[10])
    assert holding() == {"AuraDeadLetters"}
    move(DeadLetter, created_at=-3600)
    assert holding() == set()


def test_a_used_up_budget_is_found():
    (ticket,) = create(NewTicket(title="x"))
    move(Job, due_at=60)
    call(ticket, 7.9)
    assert holding() == set()
    call(ticket, 0.2)
    assert holding() == {"AuraBudget"}


def test_embedded_mode_needs_no_processes(configure: Callable[..., Any]):
    move(workers.Worker, heartbeat_at=-3600)
    assert holding() == {"AuraNoRelay", "AuraNoWorkers"}
    configure(RABBITMQ_URL="")
    assert holding() == set()


def test_the_rules_are_those_of_prometheus():
    path = ROOT / "deploy/prometheus/alerts.yml"
    shipped = {each["alert"]: each for each in yaml.safe_load(path.read_text())["groups"][0]["rules"]}
    seconds = {rule.name: rule.seconds for rule in alert_rules.RULES}
    seconds[alert_rules.DATABASE_DOWN] = alert_rules.DATABASE_DOWN_AFTER

    assert seconds.keys() | alert_rules.NOT_EVALUATED.keys() == shipped.keys()
    assert not seconds.keys() & alert_rules.NOT_EVALUATED.keys()
    for name, lasts in seconds.items():
        assert int(shipped[name].get("for", "0m").removesuffix("m")) * 60 == lasts, name


def test_mails_over_the_limit_of_their_sender_are_found():
    add(
        InboundMail(
            message_id="a", sender="a@example.com", raw=b"", outcome=f"ignored: x {inbound_mails.OVER_SENDER_LIMIT}"
        )
    )
    assert holding() == {"AuraMailLimit"}
    move(InboundMail, created_at=-3601)
    assert holding() == set()
