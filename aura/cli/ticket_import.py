"""`aura import`: tickets from a CSV or JSON Lines file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aura.cli.database import ready_database, warn_without_worker
from aura.cli.local_models import print_bad_rows
from aura.cli.options import FormatOption
from aura.cli.output import err, print_result
from aura.errors import InvalidInput


def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A .csv or .jsonl file, or .gz of it.")
    ],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, such as description=Details; may be repeated.")
    ] = None,
    fmt: FormatOption = "table",
) -> None:
    """Import tickets from a file. Bad rows are skipped and printed with their line. A second import adds no duplicates.

    Fields: title, description, requester, department, priority, external_id; common column names are recognised.

    Example: aura import tickets.csv --map description=Details
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = _columns(mapping or [])
    with ready_database():
        from aura.desk.ticket_import import import_tickets

        bar = Progress(TextColumn("importing"), BarColumn(40), DownloadColumn(), TimeRemainingColumn(), console=err)
        with bar:
            task = bar.add_task("", total=file.stat().st_size)
            report = import_tickets(file, columns=columns, progress=lambda done: bar.update(task, completed=done))
        print_bad_rows(file, report.bad, report.rejected)
        value = {"rows": report.rows, "new": report.new, "known": report.known, "rejected": report.rejected}
        text = (
            f"{report.rows} rows: {report.new} tickets created, {report.known} duplicates, {report.rejected} rejected"
        )
        if print_result(fmt, value, text) and report.new:
            warn_without_worker()


def _columns(mapping: list[str]) -> dict[str, str]:
    from db.new_tickets import NewTicket

    columns: dict[str, str] = {}
    for each in mapping:
        field, separator, column = each.partition("=")
        if not separator or field not in NewTicket.model_fields:
            raise InvalidInput(f"--map {each}: use FIELD=COLUMN with one of {', '.join(NewTicket.model_fields)}")
        columns[field] = column
    return columns
