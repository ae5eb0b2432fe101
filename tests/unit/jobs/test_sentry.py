"""Errors reach Sentry, here a real HTTP server, and nothing reaches it that the log does not say."""

from __future__ import annotations

import gzip
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
import structlog
from pytest_httpserver import HTTPServer

import actors
from aura.jobs import sentry
from aura.jobs.logs import configure_logging
from aura.jobs.middleware.logging import Logging
from aura.settings import SettingsError
from db.jobs import NewJob
from tests.embedded import Hand, enqueue

#: A word that no line of this file's code contains: Sentry shows the lines around an error.
CANARY = "-".join(("kanarien", "vogel"))


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Give back the handlers and structlog's settings after the test."""
    root, levels = logging.getLogger(), {}
    before = (root.handlers[:], root.level)
    for name in ("pika", "dramatiq.worker.WorkerThread", "apscheduler", "alembic", "httpx2", "uvicorn.access"):
        levels[name] = logging.getLogger(name).level
    yield
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()
    sentry_sdk.init("", default_integrations=False, auto_enabling_integrations=False)


@pytest.fixture
def sent(
    configure: Callable[..., Any], httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[dict[str, Any]]]:
    """Switch Sentry on, with a server of our own; the function returns the events that arrived."""
    monkeypatch.setattr(sentry, "FLUSH_WITHIN", 60.0)
    httpserver.expect_request("/api/7/envelope/", method="POST").respond_with_json({})
    configure(SENTRY_DSN=httpserver.url_for("/7").replace("//", "//key@"))
    configure_logging()

    def sent() -> list[dict[str, Any]]:
        Logging().after_worker_shutdown(actors.broker, None)  # type: ignore[arg-type]
        bodies = [each.get_data() for each, _ in httpserver.log]
        texts = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in bodies]
        return [json.loads(text.splitlines()[2]) for text in texts]

    return sent


def test_an_exception_arrives_without_the_ticket_that_it_was_about(sent: Callable[[], Any]):
    def fail(ticket_text: str) -> None:
        raise RuntimeError("the engine is broken")

    try:
        fail("my password is hunter2")
    except RuntimeError:
        structlog.get_logger("aura.web").exception("unexpected", traces=["a" * 32])
    structlog.get_logger("aura.web").warning("not worth a report")

    (event,) = sent()
    assert event["logentry"]["message"] == "unexpected"
    assert event["exception"]["values"][0]["value"] == "the engine is broken"
    assert event["extra"]["traces"] == ["a" * 32]
    assert "hunter2" not in json.dumps(event["exception"]["values"][0]["stacktrace"]["frames"][-1].get("vars", {}))
    assert "request" not in event


@pytest.mark.usefixtures("sqlite")
def test_a_dead_letter_is_reported_with_its_actor_and_key(hand: Hand, sent: Callable[[], Any]):
    enqueue(NewJob("classify", "999999"))
    hand.run()

    (event,) = sent()
    assert event["tags"] == {"actor": "classify", "key": "999999"}
    assert event["extra"]["error"] == "Missing: classify found nothing with the key '999999'"


def test_a_wrong_dsn_is_named_and_not_repeated(configure: Callable[..., Any]):
    configure(SENTRY_DSN="secret")

    with pytest.raises(SettingsError, match=r"SENTRY_DSN must be https://KEY@HOST/PROJECT$"):
        configure_logging()


def test_a_missing_package_is_named(configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    configure(SENTRY_DSN="https://key@sentry.example.com/1")

    # until the end of the block alone: the fixture `logs` uses the package
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sentry_sdk", None)
        with pytest.raises(SettingsError, match=r"SENTRY_DSN needs the Sentry SDK: pip install 'aura-desk\[sentry\]'"):
            configure_logging()


def test_a_report_shows_no_value_of_the_exception_and_no_address(sent: Callable[[], Any]):
    def inner() -> None:
        int(CANARY)

    try:
        try:
            inner()
        except ValueError as error:
            raise ExceptionGroup("two", [KeyError(CANARY), error]) from error
    except ExceptionGroup:
        structlog.get_logger("aura.web").exception(f"to {CANARY}@example.com", keys=[CANARY + "@example.com"])
    logging.getLogger("asyncio").error("odd %r\n%s", CANARY, CANARY)

    events = sent()
    assert CANARY not in json.dumps(events)
    assert [each["type"] for each in events[0]["exception"]["values"]][-1] == "ExceptionGroup"
    assert events[0]["exception"]["values"][0]["stacktrace"]["frames"]
    assert events[1]["logentry"]["message"] == "odd [...]"


def test_an_event_of_another_integration_loses_request_and_variables(sent: Callable[[], Any]):
    frame = {"function": "f", "lineno": 1, "vars": {"title": CANARY}}
    sentry_sdk.capture_event(
        {
            "message": "x",
            "request": {"data": CANARY},
            "user": {"email": CANARY},
            "exception": {"values": [{"type": "E", "value": "", "stacktrace": {"frames": [frame]}}]},
        }
    )
    assert CANARY not in json.dumps(sent())
