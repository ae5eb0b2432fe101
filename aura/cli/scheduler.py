"""`aura scheduler`: the process that starts scheduled jobs."""

from __future__ import annotations

from aura.cli.database import ready_database


def scheduler() -> None:
    """Run the scheduler: recovery, re-analysis, SLA checks, retention and more. Several may run; one of them leads.

    Example: aura scheduler
    """
    with ready_database():
        import structlog

        from aura.cli.run import exit_on_signals
        from aura.jobs.logs import configure_logging
        from pipelines.scheduled_jobs import schedule
        from pipelines.scheduler import Scheduler

        configure_logging()
        process = Scheduler(schedule())
        exit_on_signals()
        structlog.get_logger("aura.scheduler").info("scheduler started; Ctrl-C stops it")
        try:
            process.start(blocking=True)
        except (KeyboardInterrupt, SystemExit):
            process.stop()
