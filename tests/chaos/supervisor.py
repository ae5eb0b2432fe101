"""The supervisor: starts a program again whenever it ends, as a platform does."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import suppress

from tests.acceptance.conftest import Program

#: Seconds between two looks.
LOOK_EVERY = 0.05
#: Seconds before a program is started again; one that cannot start would otherwise be started without end.
PAUSE = 0.2


class Supervisor:
    """Keeps programs running until it is closed, and counts how often it started each again."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.restarts: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def keep(self, program: Program) -> None:
        """Watch over a program that runs."""
        self.programs[program.name] = program

    def close(self) -> None:
        """Stop watching; the programs are left as they are."""
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            for name, program in list(self.programs.items()):
                if program.process is not None and program.process.poll() is not None:
                    # as a container does: nothing of it is left when its first process ends
                    with suppress(ProcessLookupError):
                        os.killpg(program.process.pid, signal.SIGKILL)
                    if self._stop.wait(PAUSE):
                        return
                    program.start()
                    self.restarts[name] += 1
