"""Shutdown: a second SIGTERM does not interrupt the running jobs of a worker; and a worker can stop its own command.

systemd, Heroku and honcho send SIGTERM to every process, and Dramatiq's first process passes its own on to the others: they
get it twice, and Dramatiq would exit at the second one. The shutdown timeout and SIGKILL exist for impatience.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
from types import FrameType
from typing import Any

from dramatiq import Broker, Middleware


class Shutdown(Middleware):
    """Passes SIGTERM to Dramatiq once, in the processes that the command `dramatiq` started."""

    def after_process_boot(self, broker: Broker) -> None:
        stop: Any = signal.getsignal(signal.SIGTERM)
        if getattr(stop, "__module__", "") != "dramatiq.cli":
            return
        # at the boot, the first signal may have come before this handler was set
        stopping = inspect.getclosurevars(stop).nonlocals.get("running") is False

        def once(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            if not stopping:
                stopping = True
                stop(number, frame)

        signal.signal(signal.SIGTERM, once)


def worker_command() -> int | None:
    """Return the process id of the worker command; None in a process that is its own command, such as `aura run`."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent else None


def stop_command() -> None:
    """End the command as SIGTERM does: running jobs are completed, no job is claimed, and the exit code is 0."""
    os.kill(worker_command() or os.getpid(), signal.SIGTERM)
