"""Processes die, freeze and stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from random import Random

from tests.chaos.faults.registry import fault
from tests.chaos.system import DEAD_AFTER, System
from tests.services import wait_until

#: Seconds: longer than a worker may be silent.
SLEEP = DEAD_AFTER + 4.0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _one(system: System, chance: Random, pids: Callable[[], list[int]]) -> int:
    """Return one of the processes; waits for there to be one, which after another fault may take a while."""
    wait_until(lambda: system.over.is_set() or pids(), 120, "there is no such process")
    return chance.choice(pids() or [0])


def _suspend(system: System, pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        system.over.wait(SLEEP)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@fault("workers")
def worker_killed(system: System, chance: Random) -> None:
    """SIGKILL for a process that works on jobs; its worker command ends, as Dramatiq's does, and is started again."""
    if pid := _one(system, chance, lambda: system.pids("worker")):
        _kill(pid)


@fault("workers")
def worker_command_killed(system: System, chance: Random) -> None:
    """SIGKILL for a whole worker command: workers, relay and master at once, as when a machine is lost."""
    for pid in system.children(f"worker-{chance.randint(1, system.workers)}"):
        _kill(pid)


@fault("workers")
def relay_killed(system: System, chance: Random) -> None:
    """SIGKILL for the relay alone."""
    if pid := _one(system, chance, lambda: system.pids("relay")):
        _kill(pid)


@fault("workers")
def worker_frozen(system: System, chance: Random) -> None:
    """SIGSTOP for a worker for longer than it may be silent: it wakes up and finds its leases gone."""
    if pid := _one(system, chance, lambda: system.pids("worker")):
        _suspend(system, pid)


@fault("workers")
def relay_suspended(system: System, chance: Random) -> None:
    """SIGSTOP for a relay for longer than it may be silent; another one works meanwhile, or its command starts again."""
    if pid := _one(system, chance, lambda: system.pids("relay")):
        _suspend(system, pid)


@fault("workers")
def worker_stopped(system: System, chance: Random) -> None:
    """SIGTERM for a worker command, as a deploy does; it releases the jobs that it did not start."""
    if pids := system.children(f"worker-{chance.randint(1, system.workers)}"):
        with suppress(ProcessLookupError):
            os.kill(pids[0], signal.SIGTERM)


@fault("web")
def web_killed(system: System, _chance: Random) -> None:
    """SIGKILL for the web process; requests under way get no answer."""
    for pid in system.children("web"):
        _kill(pid)


@fault("scheduler")
def scheduler_killed(system: System, _chance: Random) -> None:
    """SIGKILL for the scheduler."""
    for pid in system.children("scheduler"):
        _kill(pid)
