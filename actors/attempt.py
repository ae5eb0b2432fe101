"""The attempt that a worker thread makes just now, where its middleware can see what became of each job."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

from db.jobs import Claimed


class Permanent(Exception):
    """Another try makes no sense: the job goes to the dead letters at once."""

    permanent = True


class Missing(Permanent):
    """What the job is about is not in the database."""


@dataclass(slots=True)
class Attempt:
    """One try at the jobs of one hint, under one lease."""

    actor: str
    lease: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.perf_counter)
    jobs: list[Claimed] = field(default_factory=list)
    kept: list[Claimed] = field(default_factory=list)
    failures: list[tuple[Claimed, BaseException]] = field(default_factory=list)
    #: Set by Retries: what is due again, with the delay in seconds, and what is given up.
    retried: list[tuple[Claimed, BaseException, float]] = field(default_factory=list)
    given_up: list[tuple[Claimed, BaseException]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


class _Thread(threading.local):
    attempt: Attempt | None = None


#: A UUID for each boot of a worker process; leases are tied to it.
WORKER_ID = uuid.uuid4().hex

_thread = _Thread()
_running: set[str] = set()


def begin(actor: str) -> Attempt:
    """Start the attempt of this thread. Its lease counts as running before the database knows of it."""
    attempt = _thread.attempt = Attempt(actor)
    _running.add(attempt.lease)
    return attempt


def current() -> Attempt | None:
    """Return the attempt of this thread, if there is one."""
    return _thread.attempt


def end() -> None:
    """Forget the attempt; from now on a lease it may have left behind is handed back by the heartbeat."""
    if _thread.attempt is not None:
        _running.discard(_thread.attempt.lease)
        _thread.attempt = None


def running() -> frozenset[str]:
    """Return the leases that threads of this process work under just now."""
    return frozenset(_running)
