"""`python -m bench.hops`: counts the files of Aura that one empty embedded job passes, and the hops between them.

A hop is a call from a file of Aura into another one, or the return from it; libraries in between do not count. The job goes
through all three parts: `send`, one round of the relay, and the attempt of a worker.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dramatiq.worker import WorkerThread

ROOT = str(Path(__file__).resolve().parent.parent)
PREFIXES = tuple(f"{ROOT}/{package}/" for package in ("aura", "actors", "pipelines", "db"))
#: The most files and hops of one job.
MOST_FILES, MOST_HOPS = 15, 80


@dataclass
class Trace:
    """The files that code passed, its hops from one to another, and its calls."""

    files: set[str] = field(default_factory=set)
    hops: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: int = 0

    def __add__(self, other: Trace) -> Trace:
        return Trace(self.files | other.files, self.hops + other.hops, self.calls + other.calls)

    def __str__(self) -> str:
        return f"{len(self.files):3} files {self.hops.total():4} hops {self.calls:4} calls"


def traced(work: Callable[[], Any]) -> Trace:
    """Call the function in this thread and return its trace."""
    trace, here = Trace(), ""

    def move(file: str) -> None:
        nonlocal here
        if here and file != here:
            trace.hops[here, file] += 1
        here = file

    def profile(frame: Any, event: str, _argument: Any) -> None:
        if not frame.f_code.co_filename.startswith(PREFIXES):
            return
        if event == "call":
            file = frame.f_code.co_filename[len(ROOT) + 1 :]
            trace.calls += 1
            trace.files.add(file)
            move(file)
        elif event == "return":
            caller = frame.f_back
            while caller is not None and not caller.f_code.co_filename.startswith(PREFIXES):
                caller = caller.f_back
            if caller is not None:
                move(caller.f_code.co_filename[len(ROOT) + 1 :])

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return trace


class _Thread:
    """What a worker thread of Dramatiq needs of its consumer thread and its queue."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def post_process_message(self, message: Any) -> None:
        self._consumer.ack(message)

    def task_done(self) -> None:
        pass


def empty_job(broker: Any, actor: Any) -> dict[str, Trace]:
    """Send an empty job, relay it and work on it; return the trace of each part. The database is migrated and embedded."""
    from aura.jobs import process_state, relay_plan
    from aura.jobs.relay import Relay
    from aura.jobs.ttl_cache import TTLCache
    from db import queue_controls

    relay = Relay(broker, broker.local)
    consumer = broker.consume(actor.queue_name, timeout=1000)
    queue: Any = _Thread(consumer)
    thread = WorkerThread(broker=broker, consumers={actor.queue_name: queue}, work_queue=queue, worker_timeout=1)

    def work() -> None:
        thread.process_message(next(consumer))

    parts = {"send": lambda: actor.send(1), "relay": relay.round, "work": work}
    # longer than any trace takes: otherwise a slow machine reads the controls and checks for suspects in the middle of it
    controls = TTLCache(60.0, queue_controls.current)
    with patch.object(process_state, "queue_controls", controls), patch.object(relay_plan, "SUSPECTS_EVERY", 60.0):
        for part in parts.values():
            part()  # statements are built at their first use
        return {name: traced(part) for name, part in parts.items()}


def main() -> int:
    from aura.jobs.actor import durable
    from aura.settings import given, use

    with tempfile.TemporaryDirectory() as folder:
        use(given(DATABASE_URL=f"sqlite:///{folder}/jobs.db", LOG_LEVEL="ERROR"))
        import actors
        from aura.jobs.logs import configure_logging
        from db.database import dispose
        from db.migrate import migrate

        migrate()
        configure_logging()
        empty = durable(queue_name="bench.empty", save=lambda session, results: None)(_empty)
        traces = empty_job(actors.broker, empty)
        dispose()
    whole = sum(traces.values(), Trace())
    for name, trace in {**traces, "all": whole}.items():
        print(f"{name:6} {trace}")
    if "--hops" in sys.argv:
        for (here, there), count in sorted(whole.hops.items(), key=lambda hop: -hop[1]):
            print(f"{count:4} {here} -> {there}")
    return int(len(whole.files) > MOST_FILES or whole.hops.total() > MOST_HOPS)


def _empty(jobs: list[Any]) -> list[None]:
    return [None for _ in jobs]


if __name__ == "__main__":
    sys.exit(main())
