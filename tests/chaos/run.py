"""One run: tickets go in while the planned faults happen; when all has come to rest, the oracle judges."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random

from sqlalchemy.exc import InterfaceError, OperationalError

from tests.chaos.driver import Driver
from tests.chaos.faults import FAULTS
from tests.chaos.oracle import Verdict, judge, stranded
from tests.chaos.recovery import Recovery
from tests.chaos.schedule import Planned
from tests.chaos.system import System

#: Seconds that processes may take to work again after the last job of a run.
BACK = 60.0
#: Seconds between two looks at the tables while a run goes on.
LOOK_EVERY = 0.5
#: The pauses between completed attempts of tickets, as the times of both ends by the database, which has this machine's clock.
_PAUSES = """
    SELECT extract(epoch FROM lag(created_at) OVER (ORDER BY created_at)), extract(epoch FROM created_at)
    FROM attempts WHERE outcome = 'completed' AND actor IN ('intake', 'classify', 'notify')
"""
#: The seconds of the ticket that took longest from its storage until it was notified of.
_SLOWEST = """
    SELECT coalesce(max(extract(epoch FROM attempts.created_at - tickets.created_at)), 0)
    FROM tickets JOIN attempts ON attempts.key = tickets.id::text AND actor = 'notify' AND outcome = 'completed'
"""
#: Looks in a row that must find no job before a run counts as at rest.
QUIET_LOOKS = 2


@dataclass(frozen=True)
class Span:
    """A fault of a cluster: when it began and ended, and since when a majority of the nodes was there."""

    name: str
    begun: float
    ended: float
    majority: float

    def longest(self, pauses: Sequence[tuple[float, float]], until: float = float("inf")) -> float:
        """Return the longest pause around this fault, from when a majority was there to when the next fault began."""
        since = max(self.begun, self.majority)
        around = [
            min(end, until) - max(start, self.majority) for start, end in pauses if end > since and start < self.ended
        ]
        return max(around, default=0.0)


@dataclass
class Progress:
    """How far a run has come, for whoever watches."""

    notified: int = 0
    jobs: int = 0
    happened: list[str] = field(default_factory=list)
    #: Unfinished tickets that had no job at any moment.
    stranded: set[int] = field(default_factory=set)
    #: What went wrong in the harness itself.
    broken: list[str] = field(default_factory=list)
    #: The faults of a cluster.
    spans: list[Span] = field(default_factory=list)
    #: Faults of a cluster during which `aura doctor` found nothing wrong with RabbitMQ.
    unnamed: list[str] = field(default_factory=list)
    #: When each fault of the database began and ended.
    outages: list[tuple[str, float, float]] = field(default_factory=list)


class Run:
    """Faults and tickets on one system."""

    def __init__(self, system: System, driver: Driver, planned: Sequence[Planned]) -> None:
        self.system, self.driver, self.planned = system, driver, planned
        self.progress = Progress()
        #: Called with the name of a fault of a cluster while it lasts.
        self.on_fault: list[Callable[[str], object]] = [self._ask_doctor]

    def go(
        self,
        rest: float,
        watch: Callable[[Progress], None] = lambda progress: None,
        *,
        enough: bool = False,
    ) -> Verdict:
        """Post, break, wait at most `rest` seconds for the jobs to be completed, and judge.

        With `enough`, no further ticket is posted after the last fault.
        """
        self.system.broken = self._observe
        started = time.monotonic()
        recovery = Recovery(self.system, self.driver).start()
        self.driver.start()
        threads = [threading.Thread(target=self._break, args=(started, group), daemon=True) for group in self._groups()]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._look(watch)
        if enough:
            self.driver.enough()
        last_fault = busy = time.monotonic()
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < busy + rest:
            quiet = quiet + 1 if self._look(watch) and self.driver.done else 0
            busy = busy if self.driver.done else time.monotonic()
        rested = time.monotonic()
        self.driver.close()
        last = time.time()
        while recovery.missing(last) and time.time() < last + BACK:
            self.system.over.wait(LOOK_EVERY)
        recovery.close()
        verdict = judge(self.system.engine, self.driver, self.system.post, self.system.provider, self.system.desk)
        verdict.lost += [f"ticket {each} had no job for a moment" for each in sorted(self.progress.stranded)]
        verdict.unexpected += [f"the harness: {each}" for each in self.progress.broken]
        verdict.unexpected += [f"`aura doctor` finds RabbitMQ whole: {each}" for each in self.progress.unnamed]
        verdict.unexpected += [f"{each} did not come back" for each in recovery.missing(last)]
        verdict.counts |= self.pauses() | recovery.report(self.progress.outages)
        verdict.counts |= {
            "seconds of the slowest ticket": round(float(self.system.rows(_SLOWEST)[0][0]), 1),
            "faults": len(self.progress.happened),
            "programs started again": self.system.supervisor.restarts.total(),
            "seconds in all": round(rested - started),
            "seconds from the last fault to the end": round(rested - last_fault),
        }
        return verdict

    def _groups(self) -> list[list[Planned]]:
        def group_of(each: Planned) -> str:
            return FAULTS[each.name].group

        return [list(group) for _, group in groupby(sorted(self.planned, key=group_of), key=group_of)]

    def pauses(self) -> dict[str, int]:
        """Return the longest pause between two completed attempts around each fault of a cluster, in seconds.

        It counts from the moment when a majority of the nodes was there.
        """
        if not self.progress.spans:
            return {}
        pauses = [(float(start), float(end)) for start, end in self.system.rows(_PAUSES) if start is not None]
        spans = self.progress.spans
        ends = [*(each.begun for each in spans[1:]), float("inf")]
        return {
            f"{number}. {each.name} ({each.ended - each.begun:.0f} s): longest pause with a majority": round(
                each.longest(pauses, end)
            )
            for number, (each, end) in enumerate(zip(spans, ends, strict=True), 1)
        }

    def _observe(self, fault: str) -> None:
        for call in self.on_fault:
            call(fault)

    def _ask_doctor(self, fault: str) -> None:
        """See that the check `rabbitmq` of `aura doctor` fails while a fault of a cluster lasts."""
        if not self.system.rabbitmq_problems():
            self.progress.unnamed.append(fault)

    def _break(self, started: float, planned: Sequence[Planned]) -> None:
        for each in planned:
            self.system.over.wait(max(0.0, started + each.at - time.monotonic()))
            begun = time.time()
            try:
                FAULTS[each.name].happen(self.system, Random(each.seed))
            except Exception:
                self.progress.broken.append(f"{each.name}: {traceback.format_exc()}")
            self.progress.happened.append(each.name)
            if FAULTS[each.name].cluster:
                self.progress.spans.append(Span(each.name, begun, time.time(), self.system.majority_at))
            elif FAULTS[each.name].group == "postgresql":
                self.progress.outages.append((each.name, begun, time.time()))

    def _look(self, watch: Callable[[Progress], None]) -> bool:
        """Look at the tables. Returns whether no job is left and every event is published."""
        self.system.over.wait(LOOK_EVERY)
        progress = self.progress
        try:
            progress.stranded |= set(stranded(self.system.rows))
            [(progress.notified, progress.jobs, events)] = self.system.rows(
                "SELECT (SELECT count(*) FROM tickets WHERE stage = 'notified'), (SELECT count(*) FROM jobs),"
                " (SELECT count(*) FROM outbox)"
            )
        except (OperationalError, InterfaceError):
            return False  # the database is the one that was hit
        watch(progress)
        return progress.jobs == 0 and not events
