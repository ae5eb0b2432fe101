"""`aura subscribe` and `aura subscriptions`: who wants to know of which events besides those who are told anyway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aura.cli.database import reads, ready_database, writes
from aura.cli.options import FormatOption
from aura.cli.output import Refused, note, show_rows, tell

app = typer.Typer(
    name="subscriptions",
    help="Subscriptions: who else wants to know of which events; list, add, remove, import and export YAML.",
    no_args_is_help=True,
)


@app.command("add")
def add(
    recipient: Annotated[
        str, typer.Argument(metavar="RECIPIENT", help="An e-mail address, a user name, or an endpoint.")
    ],
    event: Annotated[str, typer.Option(help="Such as ticket.escalated, or escalated; * for all.")] = "*",
    category: Annotated[str, typer.Option(help="Only tickets of this category.")] = "",
    priority: Annotated[str, typer.Option(help="Only tickets of this priority or above.")] = "",
    department: Annotated[str, typer.Option(help="Only tickets of this department.")] = "",
    team: Annotated[str, typer.Option(help="Only tickets of agents of this team.")] = "",
    channel: Annotated[
        str, typer.Option(help="By default that of the recipient: email, in_app, or the endpoint's.")
    ] = "",
    how: FormatOption = "table",
) -> None:
    """Tell somebody of an event, when the ticket meets every condition. The same subscription twice is one.

    aura subscribe boss@example.com --event escalated --category Network --priority high
    """
    said = {
        "recipient": recipient,
        "channel": channel,
        "event": event,
        "category": category,
        "priority": priority,
        "department": department,
        "team": team,
    }
    with ready_database():
        from aura.desk.notification_settings import InvalidSettings, subscribe

        try:
            row, new = subscribe(said)
        except InvalidSettings as error:
            raise Refused(str(error)) from None
    tell(how, {**row, "new": new}, line(row) + ("" if new else " (known before)"))


@app.command("list")
def list_(
    recipient: Annotated[str | None, typer.Option(help="Only those of this recipient.")] = None,
    how: FormatOption = "table",
) -> None:
    """List the subscriptions, with the numbers that `remove` takes."""
    with reads() as session:
        from db import subscriptions

        rows = subscriptions.listing(session, recipient)
    columns = ("id", *subscriptions.FIELDS)
    show_rows(rows, columns, how, "No subscriptions. Add one: aura subscribe boss@example.com --event escalated")


@app.command("remove")
def remove(
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="From `aura subscriptions list`.")],
    how: FormatOption = "table",
) -> None:
    """Remove subscriptions, all of these or none. What was written for them before is still sent."""
    with writes() as session:
        from db import subscriptions

        try:
            for number in numbers:
                subscriptions.remove(session, number)
        except subscriptions.UnknownSubscription as error:
            raise Refused(str(error)) from None
    tell(how, {"removed": numbers}, *(f"subscription {number} is removed" for number in numbers))


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="YAML, see examples/subscriptions.yaml; also from export."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    how: FormatOption = "table",
) -> None:
    """Add the subscriptions and set the preferences of a file, all or none. Importing it twice changes nothing more.

    It takes nothing away: a subscription that the file does not name stays.
    """
    with ready_database():
        from aura.desk.notification_settings import InvalidSettings, import_settings

        try:
            done = import_settings(file, dry_run)
        except InvalidSettings as error:
            raise Refused(str(error)) from None
    value = {
        "subscriptions": {"new": done.new, "known": done.known},
        "preferences": {"changed": done.changed, "same": done.same},
        "dry_run": dry_run,
    }
    lines = [f"+ {line(row)}" for row in done.new] + [f"~ {wish(row)}" for row in done.changed]
    total = (
        f"{len(done.new)} new subscriptions, {done.known} known before; "
        f"{len(done.changed)} preferences set, {done.same} as they were"
    )
    if tell(how, value, *lines, total) and dry_run:
        note("Nothing was changed: this was --dry-run.")


@app.command("export")
def export() -> None:
    """Print all subscriptions and preferences as the YAML that `import` takes."""
    with ready_database():
        from aura.desk.notification_settings import export_settings

        print(export_settings(), end="")


def line(row: dict[str, str]) -> str:
    """Return a subscription in one line."""
    conditions = [f"{name} {row[name]}" for name in ("category", "department", "team") if row[name]]
    if row["priority"]:
        conditions.append(f"priority {row['priority']} or above")
    event = "every event" if row["event"] == "*" else row["event"]
    return ", ".join([f"{row['recipient']} hears of {event} by {row['channel']}", *conditions])


def wish(row: dict[str, str]) -> str:
    """Return a preference in one line."""
    said = [f"{name} {value}" for name, value in row.items() if value and name != "recipient"]
    return f"{row['recipient']} prefers {', '.join(said) or 'nothing special'}"
