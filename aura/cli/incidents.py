"""`aura incidents`: bursts of similar tickets that a person accepts as one incident or dismisses."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aura.cli.database import reads, ready_database, warn_without_worker
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import print_result, print_rows

app = typer.Typer(
    name="incidents",
    help="Major incidents, proposed from bursts of similar tickets: list, accept, dismiss.",
    no_args_is_help=True,
)

IncidentId = Annotated[int, typer.Argument(metavar="ID", help="Number of the incident, from `aura incidents list`.")]


@app.command("list")
def list_(
    state: Annotated[
        Literal["proposed", "accepted", "dismissed"] | None, typer.Option(help="Only in this state.")
    ] = None,
    limit: LimitOption = 50,
    fmt: FormatOption = "table",
) -> None:
    """List incidents, the newest first. parent_id is the ticket that represents an accepted incident.

    Example: aura incidents list --state proposed
    """
    with reads() as session:
        from db.incidents import listing

        rows = listing(session, state, limit)
    columns = ("id", "state", "title", "category", "tickets", "parent_id", "created_at", "last_ticket_at")
    print_rows(rows, columns, fmt, f"No {state} incidents." if state else "No incidents.")


@app.command("accept")
def accept(incident_id: IncidentId, fmt: FormatOption = "table") -> None:
    """Accept an incident: create one ticket that represents it, with at least the priority of its tickets.

    Example: aura incidents accept 3
    """
    with ready_database():
        from aura.desk import incidents

        parent = incidents.accept(incident_id)
    value = {"incident": incident_id, "ticket": parent}
    if print_result(fmt, value, f"incident {incident_id} accepted: ticket {parent} represents it"):
        warn_without_worker()


@app.command("dismiss")
def dismiss(incident_id: IncidentId, fmt: FormatOption = "table") -> None:
    """Dismiss an incident: its tickets are unrelated, and the same tickets are not proposed again.

    Example: aura incidents dismiss 3
    """
    with ready_database():
        from aura.desk import incidents

        incidents.dismiss(incident_id)
    print_result(fmt, {"incident": incident_id}, f"incident {incident_id} dismissed")
