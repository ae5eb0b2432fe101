"""`aura jobs`: the jobs that are not completed yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from aura.cli.database import audited, reads
from aura.cli.options import ActorOption, FormatOption, LimitOption, ReasonOption
from aura.cli.output import print_result, print_rows
from aura.errors import InvalidInput

app = typer.Typer(name="jobs", help="Jobs that are not completed yet: list, cancel.", no_args_is_help=True)


@app.command("list")
def list_(
    actor: ActorOption = None,
    state: Annotated[
        Literal["scheduled", "available", "queued", "running", "retrying"] | None,
        typer.Option(help="Only in this state."),
    ] = None,
    limit: LimitOption = 50,
    fmt: FormatOption = "table",
) -> None:
    """List jobs, the oldest first.

    Example: aura jobs list --actor classify --state running
    """
    with reads() as session:
        from db.queue_controls import list_jobs

        rows = list_jobs(session, actor=actor, state=state, limit=limit)
    columns = ("id", "actor", "key", "state", "priority", "due_at", "attempts", "last_error")
    filtered = actor is not None or state is not None
    print_rows(rows, columns, fmt, "No such jobs." if filtered else "No jobs: all are completed.")


@app.command("cancel")
def cancel(
    reason: ReasonOption,
    job_id: Annotated[
        int | None, typer.Argument(metavar="ID", help="Number of the job, from `aura jobs list`.")
    ] = None,
    ticket: Annotated[int | None, typer.Option(help="Instead of ID: every job of this ticket.")] = None,
    fmt: FormatOption = "table",
) -> None:
    """Cancel a job, or every job of a ticket, also while it runs.

    The result of a running job is not stored; an e-mail that it has sent stays sent. The cancelled job is stored as a
    discarded dead letter.

    Example: aura jobs cancel --ticket 17 --reason "a test"
    """
    if (job_id is None) == (ticket is None):
        raise InvalidInput("name one of ID and --ticket")
    subject = f"job/{job_id}" if ticket is None else f"ticket/{ticket}"
    with audited("job.cancel", subject, reason=reason) as session:
        from db import queue_controls

        if ticket is None:
            cancelled = [queue_controls.cancel(session, job_id or 0, reason)]
        else:
            cancelled = queue_controls.cancel_ticket(session, ticket, reason)
    lines = [
        f"job {each.job_id} ({each.actor} {each.key}) cancelled"
        + ("; the result of its running attempt is not stored" if each.was_running else "")
        + f"; `aura dead-letters replay {each.dead_letter} --force` enqueues it again"
        for each in cancelled
    ]
    print_result(fmt, [asdict(each) for each in cancelled], *lines)
