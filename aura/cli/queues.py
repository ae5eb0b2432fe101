"""`aura queues`: what waits where, and what holds it back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import acts, reads
from aura.cli.options import FormatOption, seconds_of
from aura.cli.output import Format, Refused, note, show_rows, tell

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

app = typer.Typer(
    name="queues",
    help="Queues: see what waits, pause and resume one, limit how many of its jobs run at once.",
    no_args_is_help=True,
)

QueueName = Annotated[str, typer.Argument(help="A queue, from `aura queues list`.")]


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the queues: how many jobs are due, hinted, running or due later, and what holds them back."""
    with reads() as session:
        from actors.queues import listing

        rows = listing(session)
    if how == "table":
        rows = [row | {"held back": _held(row)} for row in rows]
    show_rows(
        rows,
        ("queue", "actors", "available", "queued", "running", "scheduled", "retrying", "held back"),
        how,
        "No queues.",
    )


@app.command("pause")
def pause(
    queue: QueueName,
    seconds: Annotated[
        float | None, typer.Option("--for", parser=seconds_of, metavar="TIME", help="Such as 90s, 10m, 2h or 1d.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Shown to those who wonder why nothing happens.")] = "",
    shorten: Annotated[bool, typer.Option("--shorten", help="Also when it is paused for longer.")] = False,
    how: FormatOption = "table",
) -> None:
    """Pause a queue, for a time or until you resume it. Promises are taken as ever, and wait in the database.

    A longer pause stays as it is, unless you say --shorten.

    aura queues pause notify.email --for 2h --reason "the mail server moves"
    """
    with _control(queue, how, "queue.pause", seconds=seconds, reason=reason) as (controls, session):
        before = controls.current(session).get(queue)
        controls.pause(session, queue, seconds, reason, shorten=shorten)
        if seconds and before == controls.current(session)[queue]:
            note("It is paused for longer than that, and stays so; --shorten would cut it.")


@app.command("resume")
def resume(queue: QueueName, how: FormatOption = "table") -> None:
    """End a queue's pause; a limit stays."""
    with _control(queue, how, "queue.resume") as (controls, session):
        controls.resume(session, queue)


@app.command("limit")
def limit(
    queue: QueueName,
    jobs: Annotated[str, typer.Argument(metavar="N|none", help="Most jobs that run at once; none is no limit.")],
    how: FormatOption = "table",
) -> None:
    """Limit how many of a queue's jobs run at once, across all workers."""
    if not re.fullmatch(r"none|[0-9]{1,9}", jobs):
        raise Refused(f"{jobs!r} is no limit: say a number, or none")
    with _control(queue, how, "queue.limit", jobs=jobs) as (controls, session):
        controls.limit(session, queue, None if jobs == "none" else int(jobs))


@contextmanager
def _control(queue: str, how: Format, action: str, **details: Any) -> Iterator[tuple[Any, Session]]:
    """Change what holds a queue back, and print what does so afterwards."""
    with acts(action, f"queue/{queue}", **details) as session:
        from actors.queues import UnknownQueue, check
        from db import queue_controls as controls

        try:
            check(session, queue)
        except UnknownQueue as error:
            raise Refused(str(error)) from None
        yield controls, session
        control = asdict(controls.current(session).get(queue) or controls.Control(queue))
    tell(how, control, f"{queue}: {_held(control) or 'not held back'}")


def _held(control: dict[str, Any]) -> str:
    parts = [f"at most {control['limit']} at once"] if control["limit"] is not None else []
    if control["paused"]:
        until = control["paused_until"]
        end = f"{until:%Y-%m-%d %H:%M:%S} UTC" if until else "it is resumed"
        parts += [f"paused until {end}" + (f" ({control['reason']})" if control["reason"] else "")]
    return ", ".join(parts)


@app.command("definitions")
def definitions(
    quorum: Annotated[
        bool, typer.Option("--quorum", help="Quorum queues, for a cluster (AURA_QUORUM_QUEUES).")
    ] = False,
) -> None:
    """Print RabbitMQ's definitions: exchanges, queues, bindings, roles and policies; deploy/rabbitmq holds both variants."""
    import actors
    from aura.cli.output import emit
    from aura.jobs.rabbitmq.definitions import definitions as of

    emit(of(sorted(actors.broker.get_declared_queues()), actors.TOPOLOGY, quorum=quorum))
