"""`aura scheduler`: the process that starts scheduled jobs."""

from __future__ import annotations

import time

from aura.cli.database import ready_database

#: Seconds between two attempts to reach the database at the start.
RETRY_SECONDS = 1.0


def scheduler() -> None:
    """Run the scheduler: recovery, re-analysis, SLA checks, retention and more. Several may run; one of them leads.

    Without the database it waits for it.

    Example: aura scheduler
    """
    from aura.cli.run import exit_on_signals
    from aura.jobs.logs import configure_logging
    from aura.settings import get_settings

    get_settings()  # invalid settings are an error of the command, not a line of the log
    configure_logging()
    exit_on_signals()
    _wait_for_database()
    with ready_database():
        import structlog

        from pipelines.alerts import AlertWatcher
        from pipelines.scheduled_jobs import schedule
        from pipelines.scheduler import Scheduler

        process = Scheduler(schedule())
        AlertWatcher(lambda: process.term is not None).start()
        structlog.get_logger("aura.scheduler").info("scheduler started; Ctrl-C stops it")
        try:
            process.start(blocking=True)
        except (KeyboardInterrupt, SystemExit):
            process.stop()


def _wait_for_database() -> None:
    """Wait until the database answers; ready_database() says what else is wrong with it."""
    import structlog
    from sqlalchemy.exc import SQLAlchemyError

    from aura.settings import first_line
    from db.revisions import revisions

    logged = ""
    while True:
        try:
            revisions()
            return
        except SQLAlchemyError as error:
            if first_line(error) != logged:
                logged = first_line(error)
                structlog.get_logger("aura.scheduler").warning("scheduler waits for the database", error=logged)
            time.sleep(RETRY_SECONDS)
