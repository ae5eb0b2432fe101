"""`aura demo`: sample tickets from creation to notification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from rich.table import Table

from aura.cli.options import FormatOption
from aura.cli.output import cell, err, out, print_json


def demo(fmt: FormatOption = "table") -> None:
    """Classify about 80 sample tickets and notify their agents, embedded, in a temporary database.

    Needs no service and no file. Sends no e-mail.

    Example: aura demo
    """
    import tempfile

    from aura import settings

    with tempfile.TemporaryDirectory(prefix="aura-demo-") as folder:
        settings.use(settings.given(LOG_LEVEL="ERROR", DATABASE_URL=f"sqlite:///{folder}/aura.db"))
        from aura.desk.demo import run_demo

        if fmt == "json":
            result = run_demo(lambda _progress: None)
        else:
            err.print(settings.get_settings().mode(), soft_wrap=True)
            result = _with_progress(run_demo)
        from db.database import dispose

        dispose()
    if fmt == "json":
        print_json(result)
    else:
        _print(result)
    if result["notified"] < result["tickets"] or result["dead"]:
        raise typer.Exit(1)


def _with_progress(run: Callable[[Callable[[Any], None]], dict[str, Any]]) -> dict[str, Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description:<11}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(), console=err
    )
    with bar:
        lines = {name: bar.add_task(name, total=None) for name in ("created", "classified", "notified")}

        def update(progress: Any) -> None:
            bar.update(lines["created"], total=progress.tickets, completed=progress.tickets)
            bar.update(lines["classified"], total=progress.tickets, completed=progress.classified)
            bar.update(lines["notified"], total=progress.tickets, completed=progress.notified)

        return run(update)


def _print(result: dict[str, Any]) -> None:
    colours = {"critical": "bold red", "high": "yellow", "medium": "default", "low": "dim"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in (("#", 3), ("ticket", 26), ("category", 8), ("priority", 8), ("conf", 4)):
        table.add_column(column, min_width=width, max_width=width, no_wrap=True)
    table.add_column("notified", max_width=max(out.width - 60, 16), no_wrap=True)
    for row in result["results"]:
        duplicate = f"= #{row['duplicate_of']} " if row["duplicate_of"] else ""
        confidence = f"{row['confidence']:.0%}" if row["confidence"] is not None else "-"
        names = [each.rpartition(" (")[0].partition("@")[0] for each in row["notified"]]
        # an agent who is notified in the app and by e-mail is one person
        people = {name.lower().replace(" ", "."): name for name in reversed(names)}
        table.add_row(
            str(row["ticket"]),
            cell(duplicate + row["title"]),
            row["category"] or "-",
            f"[{colours.get(row['priority'], 'default')}]{row['priority']}[/]",
            confidence,
            cell(", ".join(reversed(people.values()))),
        )
    out.print(table)
    out.print(
        f"\n{result['tickets']} tickets, {result['notified']} notified, {result['dead']} dead letters, "
        f"in {result['seconds']:.1f} seconds."
    )
