"""`aura schedule`: what the clock runs and when; run one now, hold one back, run what was missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from aura.cli.database import acts, reads
from aura.cli.options import FormatOption
from aura.cli.output import Refused, cell, show_rows, tell

if TYPE_CHECKING:
    from pipelines.schedule import ScheduledJob

app = typer.Typer(
    name="schedule",
    help="The timetable: when each job runs, ran and was missed; run one now, pause, resume, run what was missed.",
    no_args_is_help=True,
)

JobName = Annotated[str, typer.Argument(metavar="JOB", help="A job, from `aura schedule list`.")]


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the jobs: when each runs next and ran last, what that did, how many slots were missed, what is paused."""
    with reads() as session:
        from pipelines.schedule import listing

        rows = listing(session)
    if how == "table":
        rows = [row | {"next": "paused" if row["paused"] else cell(row["next"])} for row in rows]
    show_rows(rows, ("job", "when", "zone", "next", "last", "note", "missed", "reason"), how, "Nothing is scheduled.")


@app.command("run")
def run(job: JobName, how: FormatOption = "table") -> None:
    """Run a job now, paused or not; its slots come as ever."""
    with acts("schedule.run", f"schedule/{job}") as session:
        from pipelines.schedule import run_now

        count = run_now(session, _entry(job))
    tell(how, {"job": job, "done": count}, f"{job}: {count} done")


@app.command("pause")
def pause(
    job: JobName,
    reason: Annotated[str, typer.Option(help="Shown to those who wonder why nothing happens.")] = "",
    how: FormatOption = "table",
) -> None:
    """Let a job's slots go by until it is resumed."""
    _set(job, True, reason)
    tell(how, {"job": job, "paused": True}, f"{job} is paused")


@app.command("resume")
def resume(job: JobName, how: FormatOption = "table") -> None:
    """Run a job by the timetable again, from its next slot on."""
    _set(job, False)
    tell(how, {"job": job, "paused": False}, f"{job} runs again from its next slot on")


@app.command("backfill")
def backfill(
    job: JobName,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most slots, the oldest first.")] = 100,
    how: FormatOption = "table",
) -> None:
    """Run a job once for each slot that was missed while no clock ran."""
    done = 0
    with acts("schedule.backfill", f"schedule/{job}") as session:
        from db import schedule_runs

        entry = _entry(job)
        for slot in schedule_runs.missed(session, job, limit):
            schedule_runs.finish_slot(session, job, slot, f"{entry.run()} done, afterwards")
            done += 1
    tell(how, {"job": job, "slots": done}, f"{job}: {done} missed slots were run")


def _set(job: str, paused: bool, reason: str = "") -> None:
    with acts("schedule.pause" if paused else "schedule.resume", f"schedule/{job}", reason=reason) as session:
        from db import schedule_runs

        _entry(job)
        schedule_runs.pause(session, job, paused, reason)


def _entry(job: str) -> ScheduledJob:
    from pipelines.schedule import UnknownSchedule, scheduled_job

    try:
        return scheduled_job(job)
    except UnknownSchedule as error:
        raise Refused(str(error)) from None
