"""`aura agents`: the people to whom tickets are assigned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aura.cli.database import reads, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import print_rows

app = typer.Typer(name="agents", help="Agents: the people to whom tickets are assigned.", no_args_is_help=True)


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the agents.

    Example: aura agents list --format json
    """
    with reads() as session:
        from db.process_stats import agents

        rows = agents(session)
    columns = ("name", "email", "team", "skills", "capacity", "available")
    empty = "No agents: every ticket goes to AURA_SERVICE_DESK. Add some: aura agents import FILE.csv"
    print_rows(rows, columns, fmt, empty)


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV: name, email, team, skills, capacity, available.")
    ],
) -> None:
    """Add agents, or change those of the same name, from a CSV file. Skills are categories, separated by semicolons.

    Example: aura agents import agents.csv
    """
    with ready_database():
        from aura.desk.agents import import_agents

        print(f"{import_agents(file)} agents imported")
