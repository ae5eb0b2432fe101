"""`aura preferences`: in which language somebody is told, when not, and all at once."""

from __future__ import annotations

from typing import Annotated

import typer

from aura.cli.database import reads, ready_database
from aura.cli.options import FormatOption
from aura.cli.output import Refused, note, show_rows, tell
from aura.cli.subscriptions import wish

app = typer.Typer(
    name="preferences",
    help="Preferences: language, quiet hours and digests of each recipient; list, set, remove.",
    no_args_is_help=True,
)

Recipient = Annotated[
    str, typer.Argument(metavar="RECIPIENT", help="An e-mail address, a user name, or an endpoint, in any case.")
]


@app.command("list")
def list_(how: FormatOption = "table") -> None:
    """List the preferences. What is wrong with one that somebody wrote by hand is said; it counts for nothing."""
    from aura.desk.notification_settings import PREFERENCE, as_written

    with reads() as session:
        from aura.notifications import quiet_hours as quiet
        from aura.settings import get_settings
        from db import preferences

        zone = get_settings().timezone
        rows = [
            {**as_written(name, row), "wrong": quiet.problem(quiet.preference(row, zone)) or ""}
            for name, row in preferences.all_preferences(session).items()
        ]
    columns = (*PREFERENCE, "wrong") if any(row["wrong"] for row in rows) else PREFERENCE
    show_rows(rows, columns, how, "No preferences. Set some: aura preferences set boss@example.com --quiet 22:00-07:00")


@app.command("set")
def set_(
    recipient: Recipient,
    language: Annotated[str | None, typer.Option(help="en or de; none for that of the ticket.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Such as Europe/Berlin; none for AURA_TIMEZONE.")] = None,
    quiet: Annotated[str | None, typer.Option(help="Quiet hours such as 22:00-07:00, or none.")] = None,
    digest: Annotated[str | None, typer.Option(help="hourly, daily, or none for single messages.")] = None,
    digest_at: Annotated[str | None, typer.Option(help="When a daily digest comes, such as 08:00.")] = None,
    how: FormatOption = "table",
) -> None:
    """Set some of somebody's preferences; the others stay. What waits for them goes by the new ones from now on.

    What is about a critical ticket, or escalated, never waits.

    aura preferences set boss@example.com --timezone Europe/Berlin --quiet 22:00-07:00 --digest daily
    """
    given = {"language": language, "timezone": timezone, "quiet": quiet, "digest": digest, "digest_at": digest_at}
    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        raise Refused("say what to set: --language, --timezone, --quiet, --digest or --digest-at")
    with ready_database():
        from aura.desk.notification_settings import InvalidSettings, set_preference

        try:
            row, waiting = set_preference(recipient, said)
        except InvalidSettings as error:
            raise Refused(str(error)) from None
    if tell(how, {**row, "waiting": waiting}, wish(row)) and waiting:
        note(f"{waiting} messages that wait for them go by that now.")


@app.command("remove")
def remove(recipient: Recipient, how: FormatOption = "table") -> None:
    """Forget somebody's preferences; what waits for them goes at once."""
    with ready_database():
        from aura.desk.notification_settings import InvalidSettings, remove_preference

        try:
            waiting = remove_preference(recipient)
        except InvalidSettings as error:
            raise Refused(str(error)) from None
    if tell(how, {"recipient": recipient, "waiting": waiting}, f"{recipient} prefers nothing any more") and waiting:
        note(f"{waiting} messages that waited for them go now.")
