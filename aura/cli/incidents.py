"""`aura incidents`: bursts of similar tickets that may be one matter; a person accepts or dismisses each."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from aura.cli.database import reads, ready_database, warn_without_worker
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import Refused, show_rows, tell

app = typer.Typer(
    name="incidents",
    help="Major incidents: bursts of similar tickets; accept one as one matter, or dismiss it.",
    no_args_is_help=True,
)

IncidentId = Annotated[int, typer.Argument(metavar="ID", help="An incident's number, from `aura incidents list`.")]


@app.command("list")
def list_(
    state: Annotated[
        Literal["proposed", "accepted", "dismissed"] | None, typer.Option(help="Only those in this state.")
    ] = None,
    limit: LimitOption = 50,
    how: FormatOption = "table",
) -> None:
    """List the newest incidents; their parent is the ticket that stands for all, once they are accepted."""
    with reads() as session:
        from db.incidents import listing

        rows = listing(session, state, limit)
    columns = ("id", "state", "title", "category", "tickets", "parent_id", "created_at", "last_ticket_at")
    show_rows(rows, columns, how, f"No {state} incidents." if state else "No incidents.")


@app.command("accept")
def accept(incident_id: IncidentId, how: FormatOption = "table") -> None:
    """Make one new ticket stand for all tickets of the incident, at least as urgent as any of them."""
    with ready_database():
        from db.incidents import IncidentDecided, UnknownIncident
        from pipelines import incidents

        try:
            parent = incidents.accept(incident_id)
        except (UnknownIncident, IncidentDecided) as error:
            raise Refused(str(error)) from None
    if tell(how, {"incident": incident_id, "ticket": parent}, f"ticket {parent} stands for incident {incident_id}"):
        warn_without_worker()


@app.command("dismiss")
def dismiss(incident_id: IncidentId, how: FormatOption = "table") -> None:
    """Say that the tickets have nothing to do with each other; the same ones are not proposed again."""
    with ready_database():
        from db.incidents import IncidentDecided, UnknownIncident
        from pipelines import incidents

        try:
            incidents.dismiss(incident_id)
        except (UnknownIncident, IncidentDecided) as error:
            raise Refused(str(error)) from None
    tell(how, {"incident": incident_id}, f"incident {incident_id} is dismissed, its tickets are free")
