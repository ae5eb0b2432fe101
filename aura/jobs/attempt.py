"""One attempt at the jobs of one hint, from claim to completion: its lease, its jobs, and the outcome of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dramatiq.middleware.threading import Interrupt, raise_thread_exception

from aura.errors import JobError

if TYPE_CHECKING:
    from aura.jobs.actor import DurableActor
    from aura.jobs.tracing import Span
    from db.jobs import Claimed
    from db.queue_controls import Control


class Permanent(JobError):
    """A further attempt makes no sense; the job becomes a dead letter at once."""

    permanent = True


class Missing(Permanent):
    """The database holds nothing with the job's key."""


class Cancelled(Interrupt):
    """Every job of the attempt was cancelled while the actor's function ran.

    It ends the function at any moment. From Python 3.12 on, a `try` or `with` does not cover every jump back of a loop inside
    it (python/cpython#130279): an actor that must clean up keeps such a loop in a function of its own, called inside the `try`.
    """


#: Held by threads that interrupt; never by a thread that may be interrupted.
_interrupting = threading.Lock()


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt; the actor fills it, and then every middleware gets it (see `aura.jobs.middleware`)."""

    actor: DurableActor
    lease: str
    started: float = field(default_factory=time.perf_counter)
    #: When the present jobs were claimed: after `started` when an actor works off a hint one job at a time.
    claimed: float = field(default_factory=time.perf_counter)
    #: The pause and the limit of the actor's queue when the jobs were claimed.
    control: Control | None = None
    jobs: list[Claimed] = field(default_factory=list)
    spans: dict[int, Span] = field(default_factory=dict)
    #: What the function, or the code around it, raised; it concerns every job without an outcome of its own.
    error: BaseException | None = None
    #: Jobs whose result is an exception. Retries sorts these, and those of `error`, into `retried` and `dead`.
    failures: list[tuple[Claimed, BaseException]] = field(default_factory=list)
    completed: list[Claimed] = field(default_factory=list)
    #: With the delay in seconds until each is due again.
    retried: list[tuple[Claimed, BaseException, float]] = field(default_factory=list)
    dead: list[tuple[Claimed, BaseException]] = field(default_factory=list)
    #: `time.monotonic()` at which the time limit is exceeded.
    deadline: float = float("inf")
    #: The thread to interrupt, while it may be interrupted; and whether it is in the actor's own function.
    _thread: int | None = None
    in_function: bool = False
    #: Whether another thread is about to interrupt the attempt, or to find that it must not.
    _checked: bool = False

    @property
    def seconds(self) -> float:
        """The seconds since the present jobs were claimed."""
        return time.perf_counter() - self.claimed

    @contextmanager
    def interruptible(self, seconds: float) -> Iterator[None]:
        """Let the attempt be interrupted while the block runs, and only then: elsewhere it would end the thread."""
        self.deadline, self._thread = time.monotonic() + seconds, threading.get_ident()
        try:
            yield
        finally:
            self._thread = None
            self._await_check()

    def call(self, function: Callable[[list[Any]], Sequence[Any]], items: list[Any]) -> Sequence[Any]:
        """Call the actor's own function; only there is a cancelled attempt interrupted."""
        self.in_function = True
        try:
            return function(items)
        finally:
            self.in_function = False
            self._await_check()

    def _await_check(self) -> None:
        # Not with a lock: on Python 3.14 an interrupt that hits a thread which waits for a lock leaves it locked without end
        # (python/cpython#148874). A check that begins from now on finds that it must not interrupt.
        while self._checked:
            time.sleep(0.001)

    def interrupt(self, error: type[Interrupt], *, only_in_function: bool = False) -> bool:
        """Raise the error in the attempt's thread, once. Returns False when the attempt is past that."""
        with _interrupting:
            self._checked = True
            try:
                thread = self._thread
                if thread is None or (only_in_function and not self.in_function):
                    return False
                raise_thread_exception(thread, error)
                self._thread = None
                return True
            finally:
                self._checked = False
