"""`aura subscriptions`: recipients that are notified of chosen events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from aura.cli.database import apply_to_all, reads, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import note, print_result, print_rows

app = typer.Typer(
    name="subscriptions",
    help="Subscriptions: notify further recipients of chosen events; add, list, remove, import and export as YAML.",
    no_args_is_help=True,
)


@app.command("add")
def add(
    recipient: Annotated[str, typer.Argument(metavar="RECIPIENT", help="E-mail address, user name, or endpoint.")],
    event: Annotated[str, typer.Option(help="Such as ticket.escalated, or escalated; * for all.")] = "*",
    category: Annotated[str, typer.Option(help="Only tickets of this category.")] = "",
    priority: Annotated[str, typer.Option(help="Only tickets of this priority or above.")] = "",
    department: Annotated[str, typer.Option(help="Only tickets of this department.")] = "",
    team: Annotated[str, typer.Option(help="Only tickets of agents of this team.")] = "",
    channel: Annotated[str, typer.Option(help="Default: email, in_app, or the channel of the endpoint.")] = "",
    fmt: FormatOption = "table",
) -> None:
    """Notify a recipient of an event when the ticket meets every condition. An equal subscription is not added twice.

    Example: aura subscriptions add boss@example.com --event escalated --category Network --priority high
    """
    fields = {
        "recipient": recipient,
        "channel": channel,
        "event": event,
        "category": category,
        "priority": priority,
        "department": department,
        "team": team,
    }
    with ready_database():
        from aura.desk.notification_settings import subscribe

        row, new = subscribe(fields)
    print_result(fmt, {**row, "new": new}, subscription_line(row) + ("" if new else " (exists already)"))


@app.command("list")
def list_(
    recipient: Annotated[str | None, typer.Option(help="Only of this recipient.")] = None,
    fmt: FormatOption = "table",
) -> None:
    """List the subscriptions.

    Example: aura subscriptions list --recipient boss@example.com
    """
    with reads() as session:
        from db import subscriptions

        rows = subscriptions.listing(session, recipient)
    columns = ("id", *subscriptions.FIELDS)
    empty = "No subscriptions. Add one: aura subscriptions add boss@example.com --event escalated"
    print_rows(rows, columns, fmt, empty)


@app.command("remove")
def remove(
    numbers: Annotated[list[int], typer.Argument(metavar="ID...", help="From `aura subscriptions list`.")],
    fmt: FormatOption = "table",
) -> None:
    """Remove subscriptions, all or none. Notifications that are enqueued already are still sent.

    Example: aura subscriptions remove 3 4
    """
    from db import subscriptions

    apply_to_all(numbers, subscriptions.remove)
    print_result(fmt, {"removed": numbers}, *(f"subscription {number} removed" for number in numbers))


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="YAML, as `aura subscriptions export` writes it.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the changes without applying them.")] = False,
    fmt: FormatOption = "table",
) -> None:
    """Add the subscriptions and set the preferences of a file, all or none. Importing a file twice changes nothing.

    Subscriptions that the file does not name stay.

    Example: aura subscriptions import subscriptions.yaml --dry-run
    """
    with ready_database():
        from aura.desk.notification_settings import import_settings

        changes = import_settings(file, dry_run)
    value = {
        "subscriptions": {"new": changes.new, "known": changes.known},
        "preferences": {"changed": changes.changed, "same": changes.same},
        "dry_run": dry_run,
    }
    lines = [f"+ {subscription_line(row)}" for row in changes.new]
    lines += [f"~ {preference_line(row)}" for row in changes.changed]
    total = (
        f"{len(changes.new)} subscriptions added, {changes.known} unchanged; "
        f"{len(changes.changed)} preferences set, {changes.same} unchanged"
    )
    if print_result(fmt, value, *lines, total) and dry_run:
        note("Dry run: nothing was changed.")


@app.command("export")
def export() -> None:
    """Print all subscriptions and preferences as YAML, for `aura subscriptions import`.

    Example: aura subscriptions export > subscriptions.yaml
    """
    with ready_database():
        from aura.desk.notification_settings import export_settings

        print(export_settings(), end="")


def subscription_line(row: Mapping[str, str]) -> str:
    """Return a subscription in one line."""
    conditions = [f"{name} {row[name]}" for name in ("category", "department", "team") if row[name]]
    if row["priority"]:
        conditions.append(f"priority {row['priority']} or above")
    event = "every event" if row["event"] == "*" else row["event"]
    return ", ".join([f"{row['recipient']}: {event} by {row['channel']}", *conditions])


def preference_line(row: Mapping[str, str]) -> str:
    """Return the preferences of a recipient in one line."""
    values = [f"{name} {value}" for name, value in row.items() if value and name != "recipient"]
    return f"{row['recipient']}: {', '.join(values) or 'defaults'}"
