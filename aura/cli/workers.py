"""`aura workers`: who works, and letting one finish and end."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aura.cli.database import acts, reads
from aura.cli.options import FormatOption
from aura.cli.output import Refused, show_rows, tell

app = typer.Typer(
    name="workers", help="Workers: see who lives and what each runs, let one finish and end.", no_args_is_help=True
)


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the processes with a heartbeat: kind, version, and how many jobs each runs."""
    with reads() as session:
        from aura.settings import get_settings
        from db.process_stats import processes

        rows = processes(session, get_settings().worker_dead_after)
    if how == "table":
        rows = [row | {"state": _state(row)} for row in rows]
    columns = ("name", "kind", "version", "state", "started_at", "running")
    show_rows(rows, columns, how, "Nobody works: start `dramatiq actors`, or `aura run`.")


def _state(row: dict[str, Any]) -> str:
    if not row["alive"]:
        return "silent"
    return "drains" if row["drain_at"] else "lives"


@app.command("drain")
def drain(
    worker: Annotated[str, typer.Argument(help="Its name (host:process) or id, from `aura workers list`.")],
    how: FormatOption = "table",
) -> None:
    """Let a worker finish what it holds, take nothing new, and end with exit code 0.

    The worker command that it belongs to ends as a whole, its other processes in the same way. A supervisor that
    always restarts starts it again: stop it there if it should stay away.
    """
    with acts("worker.drain", f"worker/{worker}") as session:
        from db import workers

        try:
            name = workers.drain(session, worker)
        except workers.UnknownWorker as error:
            raise Refused(str(error)) from None
    tell(how, {"draining": name}, f"{name} finishes what it holds, and ends")
