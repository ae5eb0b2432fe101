"""Failpoints: a process dies, or an operation fails, or waits, at a named step of a job's life.

A failpoint is armed by a file and fires by renaming it, which only one process can do, and only once:

    failpoints.arm("complete.before", "die")     # the first process that is about to commit a completion kills itself
    failpoints.fired("complete.before")

`seams` calls `reach` inside the programs. Nothing here imports more than the standard library needs.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

#: What a job passes, in order. `before` and `after` are one commit, one call, or one frame apart.
STEPS = {
    "enqueue": "the transaction in which a ticket is stored and its triage enqueued",
    "publish": "the relay writes a hint to RabbitMQ",
    "confirm": "RabbitMQ's confirm of a hint arrives at the relay",
    "hint": "the transaction that marks jobs as hinted",
    "claim": "the transaction in which a worker leases the jobs of a hint",
    "work": "the function of a step",
    "send": "one mail is handed to the mail server",
    "post": "one message is posted to an endpoint: it has left, and its answer has come",
    "complete": "the transaction that records results and deletes the jobs",
    "ack": "the worker acknowledges the hint",
}
POINTS = tuple(f"{step}.{side}" for step in STEPS for side in ("before", "after"))
#: die: SIGKILL. fail: the operation raises what it would raise when the other system is away. hold: it waits.
ACTIONS = ("die", "fail", "hold")
#: Seconds that a held process waits at most, so that none is left behind.
LONGEST_HOLD = 600.0


class Failpoints:
    """The folder through which a test and the programs communicate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("armed", "fired", "released"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def arm(self, point: str, action: str) -> None:
        """Have the next process that reaches the point do it, once."""
        self.forget(point)
        draft = self.folder / point
        draft.write_text(action)
        draft.rename(self.folder / "armed" / point)  # at once: a file that is half written must not fire

    def fired(self, point: str) -> bool:
        """Return whether a process has reached the point since it was armed."""
        fired = self.folder / "fired" / point
        return fired.exists() and " " in fired.read_text()  # the process writes its id last

    def await_fired(self, point: str, timeout: float = 180.0) -> None:
        """Wait until a process has reached the point."""
        deadline = time.monotonic() + timeout
        while not self.fired(point):
            if time.monotonic() > deadline:
                raise AssertionError(f"no process reached {point} within {timeout:g} s")
            time.sleep(0.01)

    def pid(self, point: str) -> int:
        """Return the process that reached the point."""
        return int((self.folder / "fired" / point).read_text().split()[1])

    def release(self, point: str) -> None:
        """Let the process go on that is held at the point."""
        (self.folder / "released" / point).touch()

    def release_all(self) -> None:
        """Disarm everything and let every held process go on."""
        for armed in (self.folder / "armed").iterdir():
            armed.unlink(missing_ok=True)
        for fired in (self.folder / "fired").iterdir():
            self.release(fired.name)

    def forget(self, point: str) -> None:
        """Disarm the point as if it had never been armed."""
        for name in ("armed", "fired", "released"):
            (self.folder / name / point).unlink(missing_ok=True)

    def poison(self, words: str) -> None:
        """Have every process die that works on a ticket whose title holds the words."""
        (self.folder / "poison").write_text(words)


def reach(folder: Path, point: str, error: Callable[[], BaseException]) -> None:
    """Do what the point is armed for, if it is; called inside the programs."""
    fired = folder / "fired" / point
    try:
        os.rename(folder / "armed" / point, fired)
    except FileNotFoundError:
        return
    action = fired.read_text()
    fired.write_text(f"{action} {os.getpid()}")
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "fail":
        raise error()
    elif action == "hold":
        released, deadline = folder / "released" / point, time.monotonic() + LONGEST_HOLD
        while not released.exists() and time.monotonic() < deadline:
            time.sleep(0.01)


def taste(folder: Path, batch: Iterable[object]) -> None:
    """Die if one of the batch is poison; called inside the programs."""
    try:
        words = (folder / "poison").read_text()
    except FileNotFoundError:
        return
    if any(words in getattr(each, "title", "") for each in batch):
        os._exit(1)
