"""`aura schedule`: what the clock runs and when; run one now, hold one back, run what was missed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.database import reads, writes
from aura.options import FormatOption
from aura.output import Refused, cell, show_rows, tell

if TYPE_CHECKING:
    from pipelines.timetable import Entry

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
        from db import schedule
        from pipelines.timetable import next_slot, timetable, trigger
        from settings import get_settings

        ran, paused = schedule.history(session), schedule.paused(session)
        never: dict[str, Any] = {"last": None, "note": "", "missed": 0}
        rows = [
            {
                "job": entry.name,
                "when": entry.when,
                "zone": entry.zone or get_settings().timezone,
                "next": None if entry.off or entry.name in paused else next_slot(trigger(entry), datetime.now(UTC)),
                "paused": entry.name in paused,
                "reason": paused.get(entry.name, ""),
                **ran.get(entry.name, never),
            }
            for entry in timetable()
        ]
    if how == "table":
        rows = [row | {"next": "paused" if row["paused"] else cell(row["next"])} for row in rows]
    show_rows(rows, ("job", "when", "zone", "next", "last", "note", "missed", "reason"), how, "Nothing is scheduled.")


@app.command("run")
def run(job: JobName, how: FormatOption = "table") -> None:
    """Run a job now, paused or not; its slots come as ever."""
    with writes() as session:
        from db import schedule

        count = _entry(job).run()
        schedule.run_by_hand(session, job, datetime.now(UTC), f"{count} done, by hand")
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
    with writes() as session:
        from db import schedule

        entry = _entry(job)
        for slot in schedule.missed(session, job, limit):
            schedule.finish_slot(session, job, slot, f"{entry.run()} done, afterwards")
            done += 1
    tell(how, {"job": job, "slots": done}, f"{job}: {done} missed slots were run")


def _set(job: str, paused: bool, reason: str = "") -> None:
    with writes() as session:
        from db import schedule

        _entry(job)
        schedule.pause(session, job, paused, reason)


def _entry(job: str) -> Entry:
    from pipelines.timetable import timetable

    entries = timetable()
    entry = next((entry for entry in entries if entry.name == job), None)
    if entry is None:
        raise Refused(f"there is no scheduled job {job!r}; there are {', '.join(each.name for each in entries)}")
    return entry
