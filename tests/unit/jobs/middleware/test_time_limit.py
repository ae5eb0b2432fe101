"""Time limits: an attempt is interrupted after its deadline."""

from __future__ import annotations

import threading

import pytest
from dramatiq.middleware import TimeLimitExceeded

from aura.jobs.attempt import Attempt
from aura.jobs.middleware.time_limit import interrupt_late
from tests.unit.jobs.interrupted import in_background, wait


def test_an_attempt_beyond_its_deadline_is_interrupted(attempt: Attempt):
    over = threading.Event()

    def interrupt() -> None:
        while not over.wait(0.01):
            interrupt_late()

    thread = in_background(interrupt)
    with pytest.raises(TimeLimitExceeded), attempt.interruptible(0.05):
        wait()
    over.set()
    thread.join(20)


def test_an_attempt_within_its_deadline_is_left_alone(attempt: Attempt):
    with attempt.interruptible(3600):
        interrupt_late()
        assert attempt._thread is not None
