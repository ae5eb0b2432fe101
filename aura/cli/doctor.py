"""`aura doctor`: check settings and services."""

from __future__ import annotations

from dataclasses import asdict

import typer

from aura.cli.options import FormatOption
from aura.cli.output import out, print_json


def doctor(fmt: FormatOption = "table") -> None:
    """Check settings, database, RabbitMQ, Redis, OpenAI key, mailbox and storage of attachments. Exits with 1 when a check fails.

    Example: aura doctor --format json
    """
    from aura.settings import SettingsError, get_settings

    try:
        get_settings()
    except SettingsError as error:
        rows = [{"name": "settings", "ok": False, "detail": str(error), "fix": "correct the named variable"}]
    else:
        from aura.web.health import checks

        rows = [{name: value for name, value in asdict(check).items() if name != "code"} for check in checks()]
    if fmt == "json":
        print_json(rows)
    else:
        for row in rows:
            mark = "[green]ok  [/]" if row["ok"] else "[red]FAIL[/]"
            detail, fix = (str(row[name]).replace("[", "\\[") for name in ("detail", "fix"))
            out.print(f"{mark} {row['name']:<11} {detail}", soft_wrap=True)
            if fix:
                out.print(f"                 -> {fix}", soft_wrap=True)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)
