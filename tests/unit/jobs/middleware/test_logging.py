"""Logging: a line and a count for each outcome of an attempt."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.testing import capture_logs

from aura.jobs.attempt import Attempt
from aura.jobs.middleware.logging import Logging
from db.jobs import Claimed

ACTOR = "logged_actor"


def claimed(key: str, attempts: int = 1) -> Claimed:
    return Claimed(1, ACTOR, key, [], "", (), 0, attempts)


def attempt(**values: Any) -> Attempt:
    actor: Any = type("Actor", (), {"actor_name": ACTOR})()
    made = Attempt(actor, "lease", jobs=[claimed("1")])
    for name, value in values.items():
        setattr(made, name, value)
    return made


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("aura_attempts_total", {"actor": ACTOR, "outcome": outcome}) or 0.0


def test_completed_jobs_are_one_line_and_counted_each():
    before = counted("completed")
    with capture_logs() as lines:
        Logging().after_attempt(attempt(completed=[claimed("1"), claimed("2")]))

    assert [(line["event"], line["log_level"], line["jobs"]) for line in lines] == [("job completed", "info", 2)]
    assert counted("completed") == before + 2


def test_a_retried_and_a_dead_job_have_a_line_each_with_key_attempt_and_error():
    retried, dead = counted("retried"), counted("dead")
    error = RuntimeError("away\nsecret details")
    with capture_logs() as lines:
        Logging().after_attempt(attempt(retried=[(claimed("1", 2), error, 30.04)], dead=[(claimed("2", 8), error)]))

    assert lines == [
        {"event": "job retried", "log_level": "warning", "key": "1", "attempt": 2, "due_in": 30.0}
        | {"error": "RuntimeError"},
        {"event": "job dead-lettered", "log_level": "error", "key": "2", "attempt": 8, "error": "RuntimeError"},
    ]
    assert (counted("retried"), counted("dead")) == (retried + 1, dead + 1)


def test_a_failed_claim_is_a_line():
    with capture_logs() as lines:
        Logging().after_attempt(attempt(jobs=[], error=RuntimeError("the database is away")))

    assert [line["event"] for line in lines] == ["claim failed; the hint is dispatched again"]


def test_the_context_of_an_attempt_ends_with_the_attempt():
    message: Any = type("Message", (), {"actor_name": ACTOR, "message_id": "m-1"})()
    broker: Any = None
    bind_contextvars(left="over")
    middleware = Logging()

    middleware.before_process_message(broker, message)
    assert get_contextvars() == {"actor": ACTOR, "hint": "m-1"}
    middleware.after_attempt(attempt())
    assert get_contextvars() == {}
