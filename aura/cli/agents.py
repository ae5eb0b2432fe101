"""`aura agents`: the people tickets are routed to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aura.cli.database import reads, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import Refused, show_rows

app = typer.Typer(name="agents", help="Agents: the people tickets are routed to.", no_args_is_help=True)


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the agents."""
    with reads() as session:
        from db.process_stats import agents

        rows = agents(session)
    columns = ("name", "email", "team", "skills", "capacity", "available")
    show_rows(
        rows, columns, how, "No agents: every ticket goes to AURA_SERVICE_DESK. Add some: aura agents import FILE.csv"
    )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, see examples/agents.csv.")],
) -> None:
    """Add or change agents, by name, from a CSV file: name, email, team, skills (a;b), capacity, available."""
    with ready_database():
        from aura.desk.agents import StaffFailed, import_staff

        try:
            print(f"{import_staff(file)} agents")
        except StaffFailed as error:
            raise Refused(str(error)) from None
