"""`aura jobs`: what is promised and not kept yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from aura.cli.database import acts, reads
from aura.cli.options import ActorOption, FormatOption, LimitOption, ReasonOption
from aura.cli.output import Refused, show_rows, tell

app = typer.Typer(
    name="jobs",
    help="Jobs: what is promised and not kept yet; cancel what should not be done.",
    no_args_is_help=True,
)


@app.command("list")
def list_(
    actor: ActorOption = None,
    state: Annotated[
        Literal["scheduled", "available", "queued", "running", "retrying"] | None,
        typer.Option(help="Only jobs that are doing this."),
    ] = None,
    limit: LimitOption = 50,
    how: FormatOption = "table",
) -> None:
    """List promised jobs, the oldest first.

    due: the relay will hint it. hinted: a message in its queue names it. running: a worker has it. later: not due yet.
    """
    with reads() as session:
        from db.queue_controls import list_jobs

        rows = list_jobs(session, actor=actor, state=state, limit=limit)
    columns = ("id", "actor", "key", "state", "priority", "due_at", "attempts", "last_error")
    some = actor is not None or state is not None
    show_rows(rows, columns, how, "No such jobs." if some else "No jobs: everything that was promised is done.")


@app.command("cancel")
def cancel(
    reason: ReasonOption,
    job_id: Annotated[int | None, typer.Argument(metavar="ID", help="A job's number, from `aura jobs list`.")] = None,
    ticket: Annotated[int | None, typer.Option(help="Instead: every job of this ticket.")] = None,
    how: FormatOption = "table",
) -> None:
    """Cancel a job, waiting or running, or every job of a ticket.

    What a running job found out is not kept; a mail it has sent is sent. A dead letter remembers it, as discarded.

    aura jobs cancel --ticket 17 --reason "a test"
    """
    if (job_id is None) == (ticket is None):
        raise Refused("name one job, or --ticket and its number")
    subject = f"job/{job_id}" if ticket is None else f"ticket/{ticket}"
    with acts("job.cancel", subject, reason=reason) as session:
        from db import queue_controls

        if ticket is None:
            cancelled = [queue_controls.cancel(session, job_id or 0, reason)]
        else:
            cancelled = queue_controls.cancel_ticket(session, ticket, reason)
    lines = [
        f"job {each.job_id} ({each.actor} {each.key}) is cancelled"
        + ("; what it was doing just now will not be kept" if each.was_running else "")
        + f"; `aura dead replay {each.dead_letter} --force` would bring it back"
        for each in cancelled
    ]
    tell(how, [asdict(each) for each in cancelled], *lines)
