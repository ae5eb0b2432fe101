"""Logs show no address, no value of an exception and no detail of a library, also in the last resort."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from aura.jobs.logs import configure_logging

CANARY = "kanarienvogel"
HOOKS = [(sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, hooks, shown = logging.getLogger(), [getattr(*each) for each in HOOKS], warnings.showwarning
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in root.manager.loggerDict}
    yield
    logging.captureWarnings(False)
    warnings.showwarning = shown
    for (module, name), hook in zip(HOOKS, hooks, strict=True):
        setattr(module, name, hook)
    structlog.reset_defaults()
    root.handlers[:], root.level = before, level
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


class Output:
    """The log of a test: `start` configures it, a call returns what was logged; in JSON, each line is one object."""

    def __init__(self, form: str, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
        self.form, self.configure, self.capsys = form, configure, capsys

    def start(self) -> None:
        self.configure(LOG_FORMAT=self.form, LOG_LEVEL="DEBUG")
        configure_logging()

    def __call__(self) -> str:
        text = self.capsys.readouterr().err
        if self.form == "json":
            assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
        assert CANARY not in text
        return text


@pytest.fixture(params=["json", "pretty"])
def output(request: pytest.FixtureRequest, configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> Output:
    return Output(request.param, configure, capsys)


def test_addresses_are_masked_in_every_field(output: Output) -> None:
    output.start()
    address = f"{CANARY}@example.com"
    structlog.get_logger("aura.x").warning(f"to {address}", keys=[address], deep={"a": (address,)}, key=address)
    logging.getLogger("aura.y").warning("to %s", address)
    assert output().count("[address]") == 5


def test_an_exception_shows_its_place_and_no_value(output: Output) -> None:
    output.start()
    try:
        int(CANARY)
    except ValueError:
        structlog.get_logger("aura.x").exception("failed")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
        logging.getLogger("asyncio").exception("failed")
    text = output()
    assert text.count("invalid literal for int() with base 10") == 3
    assert text.count("test_an_exception_shows_its_place_and_no_value") == 3


def test_a_library_logs_warnings_and_errors_in_one_line(output: Output) -> None:
    output.start()
    openai = logging.getLogger("openai._base_client")
    openai.debug("Request options: %s", CANARY)
    openai.info("HTTP Request: %s", CANARY)
    openai.warning("Retrying %r\nbody: %s", CANARY, CANARY)
    text = output()
    assert "Retrying [...]" in text
    assert "Request" not in text


def test_a_task_that_nobody_awaits_is_logged_without_its_exception(output: Output) -> None:
    output.start()

    async def fail() -> None:
        raise ValueError(CANARY)

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        context = {"message": "never retrieved", "exception": task.exception(), "task": task}
        asyncio.get_running_loop().call_exception_handler(context)

    asyncio.run(main())
    assert "never retrieved" in output()


@pytest.mark.filterwarnings("ignore")
def test_the_last_resorts_of_the_interpreter_are_lines_of_the_log(output: Output) -> None:
    output.start()

    def fail() -> None:
        raise KeyError(CANARY)

    thread = threading.Thread(target=fail, name="worker-1")
    thread.start()
    thread.join()
    try:
        fail()
    except KeyError as error:
        sys.excepthook(KeyError, error, error.__traceback__)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(f"cannot parse '{CANARY}'", RuntimeWarning, stacklevel=1)
    text = output()
    assert text.count("uncaught exception") == 2
    assert "worker-1" in text
    assert "RuntimeWarning: cannot parse [...]" in text


def test_a_line_that_cannot_be_formatted_is_replaced(output: Output) -> None:
    output.start()
    handler = logging.getLogger().handlers[0]
    handler.handle(logging.makeLogRecord({"name": "lib", "levelno": 40, "msg": "%d things", "args": (CANARY,)}))

    class Broken:
        def __str__(self) -> str:
            raise ValueError(CANARY)

        __repr__ = __str__

    handler.handle(logging.makeLogRecord({"name": "aura", "levelno": 40, "msg": "%s", "args": (Broken(),)}))
    output()


def test_an_object_in_a_field_is_no_text_of_json(
    configure: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    class Ticket:
        def __repr__(self) -> str:
            return CANARY

    configure(LOG_FORMAT="json")
    configure_logging()
    structlog.get_logger("aura.x").info("x", ticket=Ticket(), at=1.5)
    line = json.loads(capsys.readouterr().err)
    assert (line["ticket"], line["at"]) == ("Ticket", 1.5)


def test_uvicorn_has_no_handlers_of_its_own(output: Output) -> None:
    output.start()
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        assert (logging.getLogger(name).handlers, logging.getLogger(name).propagate) == ([], True)
    logging.getLogger("uvicorn.access").info("GET /?q=%s", CANARY)
    assert output() == ""
