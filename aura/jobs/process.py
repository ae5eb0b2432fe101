"""The command that this process belongs to: a worker process is one of several under `dramatiq actors`."""

from __future__ import annotations

import multiprocessing
import os
import signal


def master() -> int | None:
    """Return the process id of the worker command; None in a process that is on its own, such as `aura run`."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent else None


def stop() -> None:
    """End the command as SIGTERM does: what is held is finished, nothing new is taken, and the exit code is 0."""
    os.kill(master() or os.getpid(), signal.SIGTERM)
