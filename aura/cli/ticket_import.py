"""`aura import` and `aura tickets import`: tickets from the exports of other help desks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import ready_database, warn_without_worker
from aura.cli.local_models import print_bad_rows
from aura.cli.options import FormatOption
from aura.cli.output import cell, err, note, out, print_json, print_result
from aura.errors import InvalidInput

if TYPE_CHECKING:
    from aura.desk.importing import ImportOptions, ImportReport

#: Rows that exist already with the same content, of which the output names so many.
NAMED_KNOWN = 20


def _existing_file(text: str) -> Path:
    """Return the path of a file, or `-`."""
    if text != "-" and not Path(text).is_file():
        raise typer.BadParameter(f"{text}: no such file")
    return Path(text)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            parser=_existing_file,
            metavar="FILE",
            help="A .csv, .tsv, .json or .jsonl file, or .gz or .zip of it; `-` is stdin.",
        ),
    ],
    preset: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Help desk of the export: zendesk, jira, servicenow, freshdesk, glpi, osticket, rt, redmine, otrs, zammad, "
            "spiceworks, hubspot, or general; "
            "recognised by its columns.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="System that the ids belong to, so that id 1 of two systems is two tickets. Default: --from.",
        ),
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, such as description=Details; may be repeated.")
    ] = None,
    statuses: Annotated[
        list[str] | None, typer.Option("--status", help="VALUE=STATUS, such as Parked=pending; may be repeated.")
    ] = None,
    notify: Annotated[
        bool | None,
        typer.Option(
            "--notify/--no-notify",
            help="Notify requesters and channels of open tickets, or nobody outside Aura. Default: only of tickets "
            "younger than a day that are from no other help desk.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the file is read and the first tickets; store nothing.")
    ] = False,
    input_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="csv, json or jsonl. Default: by the name, for stdin by the content."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as windows-1252. Default: by the content.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Such as ';'; tab for a tab. Default: by the header.")] = None,
    date_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="dmy, mdy, ymd or a pattern such as '%d/%m/%Y %H:%M'. Default: by all dates."
        ),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone of dates without an offset. Default: AURA_TIMEZONE.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="ROWS", help="Rows after which the import ends with an error.")
    ] = 250_000,
    fmt: FormatOption = "table",
) -> None:
    """Import tickets from a file. A second import adds no duplicates; existing tickets are not changed.

    Exports of Zendesk, Jira, ServiceNow, Freshdesk, GLPI, osTicket, RT and Redmine are recognised. Resolved and closed tickets
    become history: they serve as similar tickets and as training data, and nobody is notified. Open tickets are classified
    and assigned.

    Rows that cannot be imported, exist already or have doubtful values are printed with their line. The exit code is 1 when
    rows were rejected.

    Fields: title, description, requester, requester_name, department, priority, external_id, status, created_at,
    updated_at, resolved_at, closed_at, category, assignee, resolution.

    Example: aura import tickets.csv --dry-run

    aura import export.csv --from zendesk
    aura import crm.csv --source crm --map title=Topic --status Parked=pending
    aura import report.csv --date-format dmy --timezone Europe/Berlin --encoding windows-1252
    aura import - --input-format jsonl < tickets.jsonl
    """
    options = _options(
        preset=preset or "",
        source=_source(source),
        columns=_columns(mapping or []),
        statuses=_statuses(statuses or []),
        notify=notify,
        format=_input_format(input_format),
        encoding=encoding or "",
        delimiter=_delimiter(delimiter),
        date_format=date_format or "",
        zone=timezone or "",
        limit=limit,
    )
    with nullcontext() if dry_run else ready_database():
        report = _run(file, options, dry_run=dry_run, complete=fmt == "json")
    if fmt == "json":
        print_json(_value(report, dry_run=dry_run))
    else:
        _print_report(file, report, dry_run=dry_run)
        if report.new > report.finished and not dry_run:
            warn_without_worker()
    if report.rejected:
        raise typer.Exit(1)


def help_of(command: str) -> str:
    """Return the help for another name of the command."""
    return (import_.__doc__ or "").replace("aura import", command)


def _run(file: Path, options: ImportOptions, *, dry_run: bool, complete: bool) -> ImportReport:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from aura.desk.importing import import_tickets, preview_import

    columns = (TextColumn("importing"), BarColumn(40), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if dry_run:
            return preview_import(file, options, progress=progress)
        return import_tickets(file, options, progress=progress, complete=complete)


# -- options ----------------------------------------------------------------------------------------------------------


def _options(**values: Any) -> ImportOptions:
    from aura.desk.importing import ImportOptions

    return ImportOptions(**values)


def _columns(mapping: list[str]) -> dict[str, str]:
    from aura.desk.importing import FIELDS

    columns: dict[str, str] = {}
    for each in mapping:
        field, separator, column = each.partition("=")
        if not separator or field not in FIELDS:
            raise InvalidInput(f"--map {each}: use FIELD=COLUMN with one of {', '.join(FIELDS)}")
        columns[field] = column
    return columns


def _statuses(given: list[str]) -> dict[str, str]:
    from aura.desk.importing import words
    from aura.settings import STATUSES

    statuses: dict[str, str] = {}
    for each in given:
        value, separator, status = each.rpartition("=")
        if not separator or status not in STATUSES:
            raise InvalidInput(f"--status {each}: use VALUE=STATUS with one of {', '.join(STATUSES)}")
        statuses[words(value)] = status
    return statuses


def _source(source: str | None) -> str:
    if source is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,29}", source):
        raise InvalidInput(f"--source {source}: use at most 30 letters, digits, dots, hyphens and underscores")
    return source or ""


def _input_format(name: str | None) -> str | None:
    if name not in (None, "csv", "json", "jsonl"):
        raise InvalidInput(f"--input-format {name}: use csv, json or jsonl")
    return name


def _delimiter(text: str | None) -> str:
    character = {"tab": "\t", "\\t": "\t"}.get((text or "").lower(), text or "")
    if text is not None and (len(character) != 1 or character in '"\r\n'):
        raise InvalidInput(f"--delimiter {text}: use one character, or tab")
    return character


# -- output -----------------------------------------------------------------------------------------------------------


def _value(report: ImportReport, *, dry_run: bool) -> dict[str, Any]:
    """Return the report for programs."""
    from dataclasses import asdict

    value: dict[str, Any] = {
        "dry_run": dry_run,
        **{name: getattr(report, name) for name in ("rows", "new", "known", "rejected", "finished")},
        "file": asdict(report.file),
        "rejected_rows": [{"line": line, "reason": reason} for line, reason in report.bad],
        "known_rows": [row._asdict() for row in report.known_rows],
        "warnings": [{"line": line, "text": text} for line, text in report.warnings],
    }
    if dry_run:
        value["tickets"] = [_preview_row(ticket) | {"line": ticket.line} for ticket in report.preview]
    return value


def _print_report(file: Path, report: ImportReport, *, dry_run: bool) -> None:
    name = Path("stdin") if str(file) == "-" else file
    if dry_run:
        _print_reading(report)
    print_bad_rows(name, report.warnings, report.warned)
    print_bad_rows(name, report.bad, report.rejected)
    equal = [row for row in report.known_rows if not row.changed][:NAMED_KNOWN]
    shown = sorted([*equal, *(row for row in report.known_rows if row.changed)])
    for row in shown:
        err.print(f"{name}:{row.line}: id {row.external_id[:80]}: {row.reason}", markup=False, soft_wrap=True)
    if report.known > len(shown):
        note(f"... and {report.known - len(shown)} more known rows; --format json lists all")
    created = f"{report.new} tickets {'can be imported' if dry_run else 'created'}"
    if report.finished:
        created += f" ({report.finished} of them resolved or closed)"
    known = "" if dry_run else f", {report.known} duplicates"
    print_result("table", None, f"{report.rows} rows: {created}{known}, {report.rejected} rejected")


def _print_reading(report: ImportReport) -> None:
    """Print how a file is read, and its first tickets."""
    from rich.table import Table

    summary = report.file
    lines: Mapping[str, str] = {
        "format": summary.format,
        "encoding": summary.encoding,
        "delimiter": {"\t": "tab"}.get(summary.delimiter, summary.delimiter),
        "help desk": summary.preset or "none recognised",
        "source": summary.source,
        "dates": summary.date_order,
        "columns": ", ".join(f"{field}={column}" for field, column in summary.columns.items()),
        "stored only": ", ".join(summary.others)[:500],
    }
    for name, text in lines.items():
        if text:
            out.print(f"{name:>12}  {cell_text(text)}", markup=False, soft_wrap=True)
    rows = [_preview_row(ticket) for ticket in report.preview]
    if rows:
        table = Table(header_style="bold", box=None, pad_edge=False)
        for column in rows[0]:
            table.add_column(column)
        for row in rows:
            table.add_row(*(cell(value) for value in row.values()))
        out.print(table)


def cell_text(text: str) -> str:
    """Return a text on one line without control characters."""
    from aura.cli.output import printable

    return " ".join(printable(text).split(" "))


def _preview_row(ticket: Any) -> dict[str, Any]:
    created = ticket.created_at
    return {
        "id": ticket.new.external_id,
        "title": ticket.new.title,
        "requester": ticket.new.requester,
        "status": ticket.status,
        "priority": ticket.new.priority,
        "category": ticket.category,
        "created": f"{created:%Y-%m-%d %H:%M}" if created else None,
    }
