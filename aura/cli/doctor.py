"""`aura migrate` and `aura doctor`: bring an installation up to date, and find what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from aura.cli.options import FormatOption
from aura.cli.output import Refused, emit, out


def migrate() -> None:
    """Create or upgrade the tables; safe to run from several places at once."""
    from sqlalchemy.exc import SQLAlchemyError

    from aura.settings import first_line
    from db.migrate import migrate as upgrade
    from db.migrate import revisions

    try:
        before, newest = revisions()
        upgrade()
    except SQLAlchemyError as error:
        raise Refused(f"{first_line(error)} (see `aura doctor`)") from None
    print(f"revision {newest}" + (" (nothing to do)" if before == newest else f" (was {before or 'empty'})"))


def doctor(how: FormatOption = "table") -> None:
    """Check settings, database, RabbitMQ, Redis and the OpenAI key; exit code 1 when something must be mended."""
    from aura.settings import SettingsError, get_settings

    try:
        get_settings()
    except SettingsError as error:
        rows = [{"name": "settings", "ok": False, "detail": str(error), "fix": "correct the variable that is named"}]
    else:
        from aura.web.health import checks

        rows = [asdict(check) for check in checks()]
    if how == "json":
        emit(rows)
    else:
        for row in rows:
            mark = "[green]ok  [/]" if row["ok"] else "[red]FAIL[/]"
            detail = str(row["detail"]).replace("[", "\\[")
            out.print(f"{mark} {row['name']:<10} {detail}", soft_wrap=True)
            if row["fix"]:
                out.print(f"                -> {row['fix']}", soft_wrap=True)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)
