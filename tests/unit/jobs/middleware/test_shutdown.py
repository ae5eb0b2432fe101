"""SIGTERM: Dramatiq's handler runs once; a second call would kill the worker."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

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
