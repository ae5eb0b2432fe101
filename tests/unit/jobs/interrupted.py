"""An attempt to interrupt, and code that runs until then."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from aura.jobs import process_state
from aura.jobs.attempt import Attempt


@pytest.fixture
def attempt() -> Attempt:
    actor: Any = type("Actor", (), {"actor_name": "endless"})()
    attempt = process_state.attempts["lease"] = Attempt(actor, "lease")
    return attempt


def wait() -> None:
    """Run Python code for long; an interrupt comes between two steps of it."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        sum(range(100))


def in_background(action: Any) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread
