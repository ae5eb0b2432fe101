"""`aura schedules`: scheduled jobs, their next and last runs, pauses and missed runs."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import audited, reads
from aura.cli.options import FormatOption
from aura.cli.output import cell, print_result, print_rows

app = typer.Typer(
    name="schedules",
    help="Scheduled jobs: list, run now, pause, resume, backfill missed runs.",
    no_args_is_help=True,
)

JobName = Annotated[str, typer.Argument(metavar="JOB", help="Name of the job, from `aura schedules list`.")]


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the scheduled jobs: next run, last run and its result, number of missed runs, pause.

    Example: aura schedules list
    """
    with reads() as session:
        from pipelines.scheduled_jobs import listing

        rows = listing(session)
    if fmt == "table":
        rows = [row | {"next": "paused" if row["paused"] else cell(row["next"])} for row in rows]
    columns = ("job", "when", "zone", "next", "last", "note", "missed", "reason")
    print_rows(rows, columns, fmt, "No scheduled jobs.")


@app.command("run")
def run(job: JobName, fmt: FormatOption = "table") -> None:
    """Run a scheduled job now, also while it is paused. Its schedule does not change.

    Example: aura schedules run recovery
    """
    with audited("schedule.run", f"schedule/{job}") as session:
        from pipelines.scheduled_jobs import run_now, scheduled_job

        count = run_now(session, scheduled_job(job))
    print_result(fmt, {"job": job, "done": count}, f"{job}: {count} done")


@app.command("pause")
def pause(
    job: JobName,
    reason: Annotated[str, typer.Option(help="Shown with the pause.")] = "",
    fmt: FormatOption = "table",
) -> None:
    """Skip the runs of a scheduled job until it is resumed.

    Example: aura schedules pause reanalysis --reason "provider outage"
    """
    _set_paused(job, True, reason)
    print_result(fmt, {"job": job, "paused": True}, f"{job} paused")


@app.command("resume")
def resume(job: JobName, fmt: FormatOption = "table") -> None:
    """Resume a scheduled job; it runs at its next time.

    Example: aura schedules resume reanalysis
    """
    _set_paused(job, False)
    print_result(fmt, {"job": job, "paused": False}, f"{job} resumed")


@app.command("backfill")
def backfill(
    job: JobName,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of runs, the oldest first.")] = 100,
    fmt: FormatOption = "table",
) -> None:
    """Run a scheduled job once for each run that was missed while no scheduler was running.

    Example: aura schedules backfill reanalysis --limit 10
    """
    with audited("schedule.backfill", f"schedule/{job}") as session:
        from pipelines.scheduled_jobs import backfill, scheduled_job

        count = backfill(session, scheduled_job(job), limit)
    print_result(fmt, {"job": job, "runs": count}, f"{job}: {count} missed runs completed")


def _set_paused(job: str, paused: bool, reason: str = "") -> None:
    with audited("schedule.pause" if paused else "schedule.resume", f"schedule/{job}", reason=reason) as session:
        from db import schedule_runs
        from pipelines.scheduled_jobs import scheduled_job

        schedule_runs.pause(session, scheduled_job(job).name, paused, reason)
