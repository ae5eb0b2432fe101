"""`aura worker`: the worker command of Dramatiq with the options and the log of Aura.

Dramatiq's own command line runs in this process, and starts the worker processes and the relay. This process must not import
`aura.jobs.process_state`: each worker process makes its own id there, which a fork would copy.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

#: The module with the actors and their broker.
PROGRAM = "actors"
#: Milliseconds for running jobs after SIGTERM; Heroku kills a process after 30 seconds.
SHUTDOWN_TIMEOUT = 20_000
#: Milliseconds that the relay waits for the worker processes to start.
FORK_TIMEOUT = 60_000
#: Seconds that a reloaded command waits for the processes of its predecessor.
REAP_SECONDS = 2.0


def worker(
    processes: Annotated[
        int | None,
        typer.Option("--processes", "-p", min=1, help="Worker processes. Default: WORKER_PROCESSES, else 2."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", "-t", min=1, help="Threads of each. Default: WORKER_THREADS, else 8.")
    ] = None,
    queues: Annotated[
        list[str] | None, typer.Option("--queues", "-Q", help="Consume this queue only; may be repeated. Default: all.")
    ] = None,
) -> None:
    """Run worker processes and a relay. SIGTERM completes the running jobs; SIGHUP does, and starts the command again.

    `dramatiq actors` with the same options is an alternative; `aura worker` logs as LOG_FORMAT says from its first line on.

    Example: aura worker --processes 1 --threads 16 --queues ai.classify
    """
    from dramatiq.cli import main, make_argument_parser

    from aura.jobs.logs import configure_logging, flush_logs
    from aura.jobs.worker_modules import MODULES_VARIABLE
    from aura.settings import get_settings

    settings = get_settings()
    configure_logging()
    reap()
    words = dramatiq_options(processes or settings.worker_processes, threads or settings.worker_threads, queues or [])
    # after SIGHUP, Dramatiq executes sys.argv: `python -m aura` has no executable file there
    sys.argv = [sys.executable, "-m", "aura", *sys.argv[1:]]
    os.environ[MODULES_VARIABLE] = PROGRAM
    code = main(make_argument_parser().parse_args(words))
    flush_logs()
    sys.exit(code)


def dramatiq_options(processes: int, threads: int, queues: list[str]) -> list[str]:
    """Return the arguments of the command `dramatiq`."""
    options = {
        "--processes": processes,
        "--threads": threads,
        "--worker-shutdown-timeout": SHUTDOWN_TIMEOUT,
        "--worker-fork-timeout": FORK_TIMEOUT,
    }
    words = [PROGRAM, *(str(word) for option in options.items() for word in option), "--skip-logging"]
    return [*words, "--queues", *queues] if queues else words


def reap() -> None:
    """Collect the processes that this one started before SIGHUP replaced its program: Dramatiq does not wait for the relay."""
    deadline = time.monotonic() + REAP_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # there is none
            return
        if not pid:
            time.sleep(0.05)
