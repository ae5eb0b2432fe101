"""The log: one JSON object a line, and one context from the request to the last step."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from aura.jobs.logs import configure_logging, worth_logging
from aura.settings import get_settings
from tests.embedded import Hand
from tests.unit.web.clients import local_client

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level, loggers = (
        list(root.handlers),
        root.level,
        {n: logging.getLogger(n).level for n in root.manager.loggerDict},
    )
    yield
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)
    for name, was in loggers.items():
        logging.getLogger(name).setLevel(was)


@pytest.mark.usefixtures("sqlite", "logging_as_before")
def test_a_ticket_is_followed_through_the_log_by_its_number_and_trace(
    hand: Hand, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]
):
    # Given a log for collectors
    configure(LOG_FORMAT="json", DATABASE_URL=get_settings().database_url.get_secret_value())
    configure_logging()

    # When a ticket comes in with a trace, and is worked on
    ticket = {"title": "VPN drops", "description": "Payroll is secret", "requester": "ada@example.com"}
    local_client().post("/tickets", json=ticket, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    hand.run()

    # Then each line about it names it, its job and its trace, and none repeats what it says
    printed = capsys.readouterr().err
    lines = [json.loads(line) for line in printed.splitlines()]
    mine = [line for line in lines if line.get("tickets") == ["1"]]
    assert [(line["event"], line.get("actor")) for line in mine] == [
        ("tickets created", None),
        *[("job completed", name) for name in ("intake", "classify", "notify")],
    ]
    assert {tuple(line["traces"]) for line in mine} == {(TRACE,)}
    assert all(line["job_ids"] for line in mine[1:])
    assert "Payroll" not in printed


@pytest.mark.parametrize(
    ("logger", "level", "logged"),
    [
        ("dramatiq.WorkerProcess(0)", logging.INFO, True),
        ("dramatiq.WorkerProcess(0)", logging.DEBUG, False),
        ("dramatiq.worker.WorkerThread", logging.INFO, False),
        ("sqlalchemy.engine.Engine", logging.INFO, False),
    ],
)
def test_a_worker_process_says_that_it_is_ready_and_libraries_say_no_details(logger: str, level: int, logged: bool):
    assert (
        worth_logging(logging.LogRecord(logger, level, "", 0, "Worker process is ready for action.", (), None))
        is logged
    )
