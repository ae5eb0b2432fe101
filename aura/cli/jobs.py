"""`aura jobs`: the jobs that are not completed yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from aura.cli.database import audited, reads
from aura.cli.options import ActorOption, FormatOption, LimitOption, ReasonOption
from aura.cli.output import print_result, print_rows
from aura.errors import InvalidInput

TicketOption = Annotated[int | None, typer.Option(help="Instead of ID: the jobs of this ticket.")]
ManyOption = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the oldest first.")]

app = typer.Typer(name="jobs", help="Jobs that are not completed yet: list, retry now, cancel.", no_args_is_help=True)


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


@app.command("retry")
def retry(
    job_id: Annotated[
        int | None, typer.Argument(metavar="ID", help="Number of the job, from `aura jobs list`.")
    ] = None,
    actor: ActorOption = None,
    ticket: TicketOption = None,
    limit: ManyOption = 500,
    fmt: FormatOption = "table",
) -> None:
    """Retry now: start the next attempt of a job that waits after a failed one, of all of an actor, or of a ticket.

    Example: aura jobs retry --actor email
    """
    _require_one(job_id, actor, ticket)
    with audited("job.retry", _subject(job_id, actor, ticket)) as session:
        from db import queue_controls

        if job_id is not None:
            retried = [queue_controls.retry_now(session, job_id)]
        else:
            retried = queue_controls.retry_many(session, limit, actor, ticket)
    lines = [f"job {each.job_id} ({each.actor} {each.key}) is due now" for each in retried]
    print_result(fmt, [each._asdict() for each in retried], *(lines or ["No job waits after a failed attempt."]))


def _require_one(job_id: int | None, actor: str | None, ticket: int | None) -> None:
    if sum(each is not None for each in (job_id, actor, ticket)) != 1:
        raise InvalidInput("name one of ID, --ticket and --actor")


def _subject(job_id: int | None, actor: str | None, ticket: int | None) -> str:
    if job_id is not None:
        return f"job/{job_id}"
    return f"ticket/{ticket}" if ticket is not None else f"actor/{actor}"


@app.command("cancel")
def cancel(
    reason: ReasonOption,
    job_id: Annotated[
        int | None, typer.Argument(metavar="ID", help="Number of the job, from `aura jobs list`.")
    ] = None,
    ticket: TicketOption = None,
    actor: ActorOption = None,
    limit: ManyOption = 500,
    fmt: FormatOption = "table",
) -> None:
    """Cancel a job, the jobs of a ticket or those of an actor, also while they run.

    The result of a running job is not stored; an e-mail that it has sent stays sent. The cancelled job is stored as a
    discarded dead letter, and the notification of a cancelled delivery is cancelled, too.

    Example: aura jobs cancel --ticket 17 --reason "a test"
    """
    _require_one(job_id, actor, ticket)
    with audited("job.cancel", _subject(job_id, actor, ticket), reason=reason) as session:
        from db import queue_controls

        if job_id is not None:
            cancelled = [queue_controls.cancel(session, job_id, reason)]
        elif ticket is not None:
            cancelled = queue_controls.cancel_ticket(session, ticket, reason)
        else:
            cancelled = queue_controls.cancel_actor(session, actor or "", reason, limit)
    lines = [
        f"job {each.job_id} ({each.actor} {each.key}) cancelled"
        + ("; the result of its running attempt is not stored" if each.was_running else "")
        + f"; `aura dead-letters replay {each.dead_letter} --force` enqueues it again"
        for each in cancelled
    ]
    print_result(fmt, [asdict(each) for each in cancelled], *lines)
