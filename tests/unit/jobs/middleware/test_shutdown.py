"""SIGTERM: Dramatiq's handler runs once; a second call would kill the worker."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import dramatiq.cli
import pytest

import actors
from aura.jobs.middleware.shutdown import Shutdown


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("module", "heard"), [("dramatiq.cli", 1), ("somebody.elses", 2)])
def test_dramatiq_handles_sigterm_once(module: str, heard: int):
    signals: list[int] = []

    def terminate(number: int, _frame: Any) -> None:
        signals.append(number)

    terminate.__module__ = module
    signal.signal(signal.SIGTERM, terminate)

    Shutdown().after_process_boot(actors.broker)
    for _ in range(2):
        signal.raise_signal(signal.SIGTERM)

    assert signals == [signal.SIGTERM] * heard


def test_a_signal_during_the_boot_counts_as_the_first():
    # as in dramatiq.cli.worker_process, whose handler exits at the second signal
    running, killed = True, False

    def terminate(number: int, _frame: Any) -> None:
        nonlocal running, killed
        running, killed = False, not running

    terminate.__module__ = "dramatiq.cli"
    signal.signal(signal.SIGTERM, terminate)
    signal.raise_signal(signal.SIGTERM)

    Shutdown().after_process_boot(actors.broker)
    signal.raise_signal(signal.SIGTERM)

    assert (running, killed) == (False, False)


def test_dramatiqs_handler_says_whether_a_signal_came():
    names = next(each for each in dramatiq.cli.worker_process.__code__.co_consts if hasattr(each, "co_freevars"))
    assert names.co_name == "termhandler"
    assert "running" in names.co_freevars
