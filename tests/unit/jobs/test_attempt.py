"""Attempts: interrupted only while they may be, and over when their message is."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest
from dramatiq.middleware import TimeLimitExceeded

from aura.jobs import attempt as attempt_module
from aura.jobs import process_state
from aura.jobs.attempt import Attempt, Cancelled
from aura.jobs.middleware.time_limit import interrupt_late
from tests.conftest import wait_until
from tests.embedded import Hand
from tests.unit.jobs.interrupted import wait
from tests.unit.jobs.tickets import Declare, one_each


def test_nothing_interrupts_an_attempt_that_is_over_however_late_it_is(attempt: Attempt):
    with attempt.interruptible(0.0):
        pass
    time.sleep(0.01)

    interrupt_late()

    assert not attempt.interrupt(TimeLimitExceeded)
    sum(range(100_000))  # an interrupt would come here


def test_a_cancelled_attempt_is_interrupted_in_its_function_alone(attempt: Attempt):
    with attempt.interruptible(3600):
        assert not attempt.interrupt(Cancelled, only_in_function=True)
        with pytest.raises(Cancelled):
            cancelled_in_its_function(attempt)


def cancelled_in_its_function(attempt: Attempt) -> None:
    def cancel(_items: list[Any]) -> list[Any]:
        attempt.interrupt(Cancelled, only_in_function=True)
        wait()
        return []

    attempt.call(cancel, [])


def test_an_interrupt_at_the_end_of_an_attempt_holds_up_no_other_attempt(monkeypatch: pytest.MonkeyPatch):
    actor: Any = None
    interrupted, other = Attempt(actor, "interrupted"), Attempt(actor, "other")
    inside, leave, seen = threading.Event(), threading.Event(), list[str]()
    interrupt = attempt_module.raise_thread_exception

    def step(attempt: Attempt) -> None:
        try:
            with attempt.interruptible(3600):
                inside.set()
                leave.wait(10)
        except Cancelled:
            seen.append(attempt.lease)

    def interrupt_at_the_end(thread: int, error: type[BaseException]) -> None:
        leave.set()
        names = ("interruptible", "_await_check")
        wait_until(lambda: sys._current_frames()[thread].f_code.co_name in names, message="the block has ended")
        interrupt(thread, error)

    # Given an interrupt that was decided on before the block ended, and comes after
    monkeypatch.setattr(attempt_module, "raise_thread_exception", interrupt_at_the_end)
    first = threading.Thread(target=step, args=(interrupted,), daemon=True)
    first.start()
    assert inside.wait(10)
    assert interrupted.interrupt(Cancelled)
    first.join(10)
    # Then it is seen where an interrupt may come, and the next attempt can end
    second = threading.Thread(target=step, args=(other,), daemon=True)
    second.start()
    second.join(10)
    assert (first.is_alive(), second.is_alive(), seen) == (False, False, ["interrupted"])


@pytest.mark.usefixtures("database")
def test_an_attempt_is_over_when_its_message_is_done(hand: Hand, declare: Declare):
    during: list[int] = []

    def look(items: list[Any]) -> list[str]:
        during.append(len(process_state.attempts))
        return one_each(items)

    declare(look).send(1)
    hand.run()

    assert during == [1]
    assert not process_state.attempts
