"""What a tree of processes costs: CPU, memory and connections."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

import psutil

#: Seconds between two looks at memory and connections.
EVERY = 1.0


def tree(roots: Iterable[int]) -> Iterator[psutil.Process]:
    """Yield the processes and all their descendants."""
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(root)
            yield process
            yield from process.children(recursive=True)


def cpu(roots: Iterable[int]) -> float:
    """Return the CPU seconds that the processes, their descendants and those already gone have used."""
    seconds = 0.0
    for process in tree(roots):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])  # own user and system, and those of children that ended
    return seconds


def memory(roots: Iterable[int]) -> int:
    """Return the bytes the processes hold, with what they share counted once (the kernel's PSS)."""
    held = 0
    for process in tree(roots):
        with suppress(psutil.NoSuchProcess):
            held += process.memory_full_info().pss
    return held


def largest(roots: Iterable[int]) -> int:
    """Return the resident bytes of the largest process, with what it shares."""
    sizes = [0]
    for process in tree(roots):
        with suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss)
    return max(sizes)


def connections(roots: Iterable[int], port: int) -> int:
    """Return how many connections the processes have to the port; one that several inherited counts once."""
    mine = set()
    for process in tree(roots):
        with suppress(psutil.NoSuchProcess):
            mine |= {
                c.laddr
                for c in process.net_connections("tcp")
                if c.status == psutil.CONN_ESTABLISHED and c.raddr[1] == port
            }
    return len(mine)


class Peaks:
    """Watches a tree in the background and keeps the highest figures."""

    def __init__(self, roots: Iterable[int], broker_port: int, database_port: int) -> None:
        self.memory = self.broker = self.database = 0
        self._roots, self._ports = list(roots), (broker_port, database_port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peaks", daemon=True)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._look()

    def _look(self) -> None:
        self.memory = max(self.memory, memory(self._roots))
        self.broker = max(self.broker, connections(self._roots, self._ports[0]))
        self.database = max(self.database, connections(self._roots, self._ports[1]))
