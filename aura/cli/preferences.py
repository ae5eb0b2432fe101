"""`aura preferences`: language, quiet hours and digests of each recipient."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import reads, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import note, print_result, print_rows
from aura.cli.subscriptions import preference_line
from aura.errors import InvalidInput

app = typer.Typer(
    name="preferences",
    help="Preferences of recipients: language, quiet hours and digests; list, set, remove.",
    no_args_is_help=True,
)

Recipient = Annotated[
    str, typer.Argument(metavar="RECIPIENT", help="E-mail address, user name, or endpoint; case does not matter.")
]


@app.command("list")
def list_(fmt: FormatOption = "table") -> None:
    """List the preferences. An invalid row is shown with its error and has no effect.

    Example: aura preferences list
    """
    from aura.desk.notification_settings import PREFERENCE, as_written

    with reads() as session:
        from aura.notifications import quiet_hours
        from aura.settings import get_settings
        from db import preferences

        zone = get_settings().timezone
        rows = [
            {**as_written(name, row), "error": quiet_hours.problem(quiet_hours.preference(row, zone)) or ""}
            for name, row in preferences.all_preferences(session).items()
        ]
    columns = (*PREFERENCE, "error") if any(row["error"] for row in rows) else PREFERENCE
    empty = "No preferences. Set some: aura preferences set boss@example.com --quiet 22:00-07:00"
    print_rows(rows, columns, fmt, empty)


@app.command("set")
def set_(
    recipient: Recipient,
    language: Annotated[str | None, typer.Option(help="en or de; none for the language of the ticket.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Such as Europe/Berlin; none for AURA_TIMEZONE.")] = None,
    quiet: Annotated[str | None, typer.Option(help="Quiet hours such as 22:00-07:00, or none.")] = None,
    digest: Annotated[str | None, typer.Option(help="hourly, daily, or none for single messages.")] = None,
    digest_at: Annotated[str | None, typer.Option(help="Time of a daily digest, such as 08:00.")] = None,
    fmt: FormatOption = "table",
) -> None:
    """Set preferences of a recipient; options that are not given keep their values.

    The new preferences also apply to delayed notifications. Notifications of critical tickets and escalations are never
    delayed.

    Example: aura preferences set boss@example.com --timezone Europe/Berlin --quiet 22:00-07:00 --digest daily
    """
    options = {"language": language, "timezone": timezone, "quiet": quiet, "digest": digest, "digest_at": digest_at}
    changes = {name: value for name, value in options.items() if value is not None}
    if not changes:
        raise InvalidInput("name a preference: --language, --timezone, --quiet, --digest or --digest-at")
    with ready_database():
        from aura.desk.notification_settings import set_preference

        row, rescheduled = set_preference(recipient, changes)
    if print_result(fmt, {**row, "rescheduled": rescheduled}, preference_line(row)) and rescheduled:
        note(f"{rescheduled} delayed notifications are rescheduled.")


@app.command("remove")
def remove(recipient: Recipient, fmt: FormatOption = "table") -> None:
    """Remove the preferences of a recipient; delayed notifications are sent at once.

    Example: aura preferences remove boss@example.com
    """
    with ready_database():
        from aura.desk.notification_settings import remove_preference

        rescheduled = remove_preference(recipient)
    value = {"recipient": recipient, "rescheduled": rescheduled}
    if print_result(fmt, value, f"preferences of {recipient} removed") and rescheduled:
        note(f"{rescheduled} delayed notifications are sent now.")
