"""The attempt that a worker thread makes just now, where its middleware can see what became of each job."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dramatiq.middleware.threading import Interrupt, raise_thread_exception

from aura.errors import JobError
from db.jobs import Claimed


class Permanent(JobError):
    """Another try makes no sense: the job goes to the dead letters at once."""

    permanent = True


class Missing(Permanent):
    """What the job is about is not in the database."""


class Cancelled(Interrupt):
    """Every job of the attempt was cancelled while it ran.

    It ends the actor's function at any moment. From Python 3.12 on, a `try` or `with` does not cover every jump back of a
    loop inside it (python/cpython#130279): an actor that must clean up after itself keeps such a loop in a function of its
    own, which it calls inside the `try`.
    """


@dataclass(slots=True)
class Attempt:
    """One try at the jobs of one hint, under one lease."""

    actor: str
    lease: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.perf_counter)
    #: When the jobs in hand were claimed; of a hint that is worked off one by one, later than the start.
    since: float = field(default_factory=time.perf_counter)
    jobs: list[Claimed] = field(default_factory=list)
    completed: list[Claimed] = field(default_factory=list)
    failures: list[tuple[Claimed, BaseException]] = field(default_factory=list)
    #: Set by Retries: what is due again, with the delay in seconds, and what is given up.
    retried: list[tuple[Claimed, BaseException, float]] = field(default_factory=list)
    given_up: list[tuple[Claimed, BaseException]] = field(default_factory=list)
    #: The span of each job, by its id.
    spans: dict[int, Any] = field(default_factory=dict)
    #: The thread that is in the actor's own function just now, where it may be interrupted.
    thread: int | None = None
    #: Whether another thread is just about to interrupt it, or to see that it must not.
    looked_at: bool = False

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.since


class _Thread(threading.local):
    attempt: Attempt | None = None


#: A UUID for each boot of a worker process; leases are tied to it.
WORKER_ID = uuid.uuid4().hex

_thread = _Thread()
#: The leases of this process, each with its attempt once that has begun.
_running: dict[str, Attempt | None] = {}
#: Held by who interrupts; never by a thread that may be interrupted.
_interrupting = threading.Lock()


def begin(actor: str, lease: str | None = None) -> Attempt:
    """Start the attempt of this thread. Its lease counts as running before the database knows of it."""
    attempt = _thread.attempt = Attempt(actor, lease) if lease else Attempt(actor)
    _running[attempt.lease] = attempt
    return attempt


def current() -> Attempt | None:
    """Return the attempt of this thread, if there is one."""
    return _thread.attempt


def end() -> None:
    """Forget the attempt; from now on a lease it may have left behind is handed back by the heartbeat."""
    if _thread.attempt is not None:
        _running.pop(_thread.attempt.lease, None)
        _thread.attempt = None


def reserve() -> str:
    """Return a new lease that counts as running, for an attempt that begins soon."""
    lease = uuid.uuid4().hex
    _running[lease] = None
    return lease


def release(lease: str) -> None:
    """Forget a reserved lease whose attempt will not begin."""
    _running.pop(lease, None)


def running() -> frozenset[str]:
    """Return the leases that threads of this process work under just now, or soon."""
    return frozenset(_running)


@contextmanager
def working(attempt: Attempt) -> Iterator[None]:
    """Let the attempt be interrupted while the block runs, and only then: an interrupt elsewhere would kill the thread."""
    attempt.thread = threading.get_ident()
    try:
        yield
    finally:
        # Not with a lock: on Python 3.14 an interrupt that comes while a thread waits for one leaves it locked for ever
        # (python/cpython#148874).
        attempt.thread = None
        while attempt.looked_at:  # a look that begins from now on finds no thread
            time.sleep(0.001)


def at_work() -> list[Attempt]:
    """Return the attempts whose thread is in the actor's own function."""
    return [attempt for attempt in list(_running.values()) if attempt is not None and attempt.thread is not None]


def interrupt_lost(working_before: Collection[Attempt], held: Collection[str]) -> int:
    """Raise Cancelled in each attempt that holds no job any more. Returns how many.

    The attempts must have been at work before `held`, the leases in the database, was read.
    """
    interrupted = 0
    for attempt in working_before:
        with _interrupting:
            attempt.looked_at = True
            try:
                thread = attempt.thread
                if attempt.lease not in held and thread is not None:
                    raise_thread_exception(thread, Cancelled)
                    attempt.thread = None  # once
                    interrupted += 1
            finally:
                attempt.looked_at = False
    return interrupted
