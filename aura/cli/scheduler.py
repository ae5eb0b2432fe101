"""`aura scheduler`: the process that starts scheduled jobs."""

from __future__ import annotations

from aura.cli.database import ready_database
from aura.cli.output import err


def scheduler() -> None:
    """Run the scheduler: recovery, re-analysis, SLA checks, retention and more. Several may run; one of them leads.

    Example: aura scheduler
    """
    import signal

    with ready_database():
        from aura.cli.run import exit_on_signal
        from aura.jobs.logs import configure_logging
        from pipelines.scheduled_jobs import schedule
        from pipelines.scheduler import Scheduler

        configure_logging()
        process = Scheduler(schedule())
        signal.signal(signal.SIGTERM, exit_on_signal)
        err.print("Scheduler started. Ctrl-C stops it.")
        try:
            process.start(blocking=True)
        except (KeyboardInterrupt, SystemExit):
            process.stop()
