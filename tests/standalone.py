"""The example of aura/jobs/README.md as a module, and the modules that a separate program must not load."""

from __future__ import annotations

import re

from tests.conftest import ROOT

#: Packages and modules of the service desk.
DESK = ("actors", "aura.ai", "aura.desk", "aura.mail", "aura.notifications", "aura.web", "db.tickets", "pipelines")

#: Runs the example until the second step is completed, and prints its output and the modules of the service desk.
RUN = """
import sys, threading
from dramatiq import Worker
from db.migrate import migrate

if __name__ == "__main__":
    migrate()
    import greetings
    from aura.jobs import relay
    from db import reading
    from db.process_stats import job_count

    greetings.broker.emit_after("process_boot")
    worker, stop = Worker(greetings.broker, worker_threads=2, worker_timeout=50), threading.Event()
    worker.start()
    thread = threading.Thread(target=relay.run, args=(greetings.broker, stop))
    if not greetings.broker.embedded:
        thread.start()
    greetings.greetings.send("Ada")
    left, done = 1, threading.Event()
    while left and not done.wait(0.05):
        with reading() as session:
            left = job_count(session)
    stop.set()
    if thread.ident:
        thread.join()
    worker.stop()
    desk = DESK_MODULES
    print([name for name in sys.modules if name.startswith(desk)])
"""


def example() -> str:
    """Return the Python code of the README."""
    found = re.search(r"```python\n(.*?)```", (ROOT / "aura/jobs/README.md").read_text(encoding="utf-8"), re.S)
    assert found
    return found[1]


def program() -> str:
    """Return a program that runs the example."""
    return RUN.replace("DESK_MODULES", repr(DESK))
