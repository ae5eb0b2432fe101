"""`aura workers`: the running processes, and a graceful stop of a worker."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aura.cli.database import audited, reads
from aura.cli.options import FormatOption
from aura.cli.output import print_result, print_rows

app = typer.Typer(name="workers", help="Workers: list, drain (stop gracefully).", no_args_is_help=True)


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the processes with a heartbeat: kind, version, state and number of running jobs.

    Example: aura workers list
    """
    with reads() as session:
        from aura.settings import get_settings
        from db.process_stats import processes

        rows = processes(session, get_settings().worker_dead_after)
    if fmt == "table":
        rows = [row | {"state": _state(row)} for row in rows]
    columns = ("name", "kind", "version", "state", "started_at", "running")
    print_rows(rows, columns, fmt, "No processes: start `aura worker`, or `aura run`.")


def _state(row: dict[str, Any]) -> str:
    if not row["alive"]:
        return "dead"
    return "draining" if row["drain_at"] else "alive"


@app.command("drain")
def drain(
    worker: Annotated[str, typer.Argument(help="Name (host:process) or id, from `aura workers list`.")],
    fmt: FormatOption = "table",
) -> None:
    """Stop a worker gracefully: it finishes its running jobs, claims no new ones, and exits with 0.

    All processes of its worker command stop. A supervisor may start the command again: stop it there, too.

    Example: aura workers drain host:4711
    """
    with audited("worker.drain", f"worker/{worker}") as session:
        from db import workers

        name = workers.drain(session, worker)
    print_result(fmt, {"draining": name}, f"{name} drains: it finishes its jobs and exits")
