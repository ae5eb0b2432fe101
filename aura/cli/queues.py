"""`aura queues`: backlog, pauses and limits of the queues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import audited, reads
from aura.cli.options import FormatOption, parse_duration
from aura.cli.output import Format, note, print_json, print_result, print_rows
from aura.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = typer.Typer(
    name="queues",
    help="Queues: show the backlog, pause, resume, limit the number of running jobs.",
    no_args_is_help=True,
)

QueueName = Annotated[str, typer.Argument(help="Name of the queue, from `aura queues list`.")]


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the queues with the number of jobs in each state, pauses and limits.

    Example: aura queues list
    """
    with reads() as session:
        from actors.queues import listing

        rows = listing(session)
    if fmt == "table":
        rows = [row | {"control": _control_text(row)} for row in rows]
    columns = ("queue", "actors", "available", "queued", "running", "scheduled", "retrying", "control")
    print_rows(rows, columns, fmt, "No queues.")


@app.command("pause")
def pause(
    queue: QueueName,
    seconds: Annotated[
        float | None,
        typer.Option("--for", parser=parse_duration, metavar="TIME", help="Duration, such as 90s, 10m, 2h or 1d."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Shown with the pause.")] = "",
    shorten: Annotated[bool, typer.Option("--shorten", help="Replace a longer pause.")] = False,
    fmt: FormatOption = "table",
) -> None:
    """Start no job of a queue, until it is resumed or for a time. Jobs are stored and running ones finish.

    Example: aura queues pause ai.classify --for 10m --reason "provider outage"
    """
    with _controlled(queue, fmt, "queue.pause", seconds=seconds, reason=reason) as (controls, session):
        before = controls.current(session).get(queue)
        controls.pause(session, queue, seconds, reason, shorten=shorten)
        if seconds and before == controls.current(session)[queue]:
            note("The queue is already paused for longer; --shorten replaces that pause.")


@app.command("resume")
def resume(queue: QueueName, fmt: FormatOption = "table") -> None:
    """End the pause of a queue. A limit stays.

    Example: aura queues resume ai.classify
    """
    with _controlled(queue, fmt, "queue.resume") as (controls, session):
        controls.resume(session, queue)


@app.command("limit")
def limit(
    queue: QueueName,
    jobs: Annotated[str, typer.Argument(metavar="N|none", help="Maximum number of running jobs; none: no limit.")],
    fmt: FormatOption = "table",
) -> None:
    """Limit how many jobs of a queue run at the same time, on all workers together.

    Example: aura queues limit ai.classify 3
    """
    if not re.fullmatch(r"none|[0-9]{1,9}", jobs):
        raise InvalidInput(f"{jobs!r} is not a limit: use a number, or none")
    with _controlled(queue, fmt, "queue.limit", jobs=jobs) as (controls, session):
        controls.limit(session, queue, None if jobs == "none" else int(jobs))


@contextmanager
def _controlled(queue: str, fmt: Format, action: str, **details: Any) -> Iterator[tuple[Any, Session]]:
    """Change the pause or limit of a queue in the block, then print both."""
    with audited(action, f"queue/{queue}", **details) as session:
        from actors.queues import check
        from db import queue_controls as controls

        check(session, queue)
        yield controls, session
        control = asdict(controls.current(session).get(queue) or controls.Control(queue))
    print_result(fmt, control, f"{queue}: {_control_text(control) or 'no pause, no limit'}")


def _control_text(control: dict[str, Any]) -> str:
    parts = [f"limit {control['limit']}"] if control["limit"] is not None else []
    if control["paused"]:
        until = control["paused_until"]
        end = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
        parts += [f"paused{end}" + (f" ({control['reason']})" if control["reason"] else "")]
    return ", ".join(parts)


@app.command("definitions")
def definitions(
    quorum: Annotated[
        bool, typer.Option("--quorum", help="Quorum queues, for a cluster (AURA_QUORUM_QUEUES).")
    ] = False,
) -> None:
    """Print RabbitMQ's definitions: exchanges, queues, bindings, roles and policies. deploy/rabbitmq holds both variants.

    Example: aura queues definitions --quorum
    """
    import actors
    from aura.jobs.rabbitmq.definitions import definitions as make_definitions

    print_json(make_definitions(sorted(actors.broker.get_declared_queues()), actors.TOPOLOGY, quorum=quorum))
