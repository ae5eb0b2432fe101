"""Recovery times: samples readiness, answers and heartbeats during a run, and says when each part worked again after a fault."""

from __future__ import annotations

import http.client
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise

from sqlalchemy.exc import SQLAlchemyError

from tests.chaos.driver import Driver
from tests.chaos.system import System

#: Seconds between two samples of readiness, and of heartbeats.
READY_EVERY, BEATS_EVERY = 0.2, 0.25
#: A value that changes whenever a process beats, or renews the lease by which the scheduler leads.
_BEATS = """
    SELECT kind, id, heartbeat_at::text FROM workers UNION ALL SELECT 'scheduler', holder, expires_at::text FROM leader_leases
"""
#: The name, begin and end of a fault, in seconds since the epoch.
Span = tuple[str, float, float]


class Recovery:
    """Samples a system from `start` to `close`."""

    def __init__(self, system: System, driver: Driver) -> None:
        self.system, self.driver = system, driver
        #: When /health/ready was asked, and whether it was ready.
        self.ready: list[tuple[float, bool]] = []
        #: When each process was seen to beat, by kind and id.
        self.beats: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(self._ask, READY_EVERY), name="ready", daemon=True),
            threading.Thread(target=self._repeat, args=(self._read, BEATS_EVERY), name="beats", daemon=True),
        ]
        self._last: dict[tuple[str, str], str] = {}

    def start(self) -> Recovery:
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def missing(self, since: float) -> list[str]:
        """Return what has not worked since then: kinds of processes of which too few have beaten, and readiness."""
        wanted = {"worker": self.system.workers, "relay": self.system.workers, "scheduler": int(self.system.scheduler)}
        beaten = [kind for (kind, _), times in list(self.beats.items()) if times[-1] > since]
        found = [kind for kind, number in wanted.items() if beaten.count(kind) < number]
        return found if self.ready and self.ready[-1][0] > since and self.ready[-1][1] else [*found, "ready"]

    def report(self, spans: Sequence[Span]) -> dict[str, float]:
        """Return the seconds of each fault until the next one. A time that is missing was not seen."""
        found: dict[str, float] = {}
        for number, (name, begun, ended) in enumerate(spans, 1):
            until = spans[number][1] if number < len(spans) else float("inf")
            for what, seconds in self._times(begun, ended, until).items():
                found[f"{number}. {name} ({ended - begun:.1f} s): {what}"] = round(seconds, 1)
        return found

    def _times(self, begun: float, ended: float, until: float) -> dict[str, float]:
        accepted = sorted(at for at, status in self.driver.answers if status == 202)
        refused = [at for at, status in self.driver.answers if status != 202 and begun <= at < until]
        found = {"longest pause between two accepted tickets": _pause(accepted, begun, until)}
        if refused:
            found["from the first refused request to the last"] = max(refused) - min(refused)
        red = [at for at, ready in self.ready if not ready and begun <= at < until]
        after = [at for at in accepted if ended <= at < until]
        if after:
            found["first ticket accepted after its end by"] = after[0] - ended
        if red:
            found["not ready after its beginning by"] = red[0] - begun
            found["ready after its end by"] = max(0.0, max(red) - ended)
        back = [
            times[place] - ended
            for times in self.beats.values()
            if (place := bisect_left(times, ended)) < len(times) and times[place] < until
        ]
        if back:
            found["the last process works after its end by"] = max(back)
        return found

    def _repeat(self, sample: object, every: float) -> None:
        assert callable(sample)
        while not self._over.wait(every):
            sample()

    def _ask(self) -> None:
        asked = time.time()
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.system.port, timeout=5)) as connection:
                connection.request("GET", "/health/ready")
                self.ready.append((asked, connection.getresponse().status == 200))
        except (OSError, http.client.HTTPException):
            self.ready.append((asked, False))

    def _read(self) -> None:
        try:
            rows = self.system.rows(_BEATS)
        except SQLAlchemyError:
            return  # the database is the one that was hit
        for kind, name, value in rows:
            if self._last.get((kind, name)) not in (None, value):
                self.beats[kind, name].append(time.time())
            self._last[kind, name] = value


def _pause(times: Sequence[float], begun: float, until: float) -> float:
    """Return the longest pause that is not over before `begun` and begins before `until`."""
    pauses = [end - start for start, end in pairwise(times) if end > begun and start < until]
    return max(pauses, default=0.0)
