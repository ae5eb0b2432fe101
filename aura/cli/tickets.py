"""`aura submit`, `aura import` and `aura tickets`: hand tickets in, list them, show one with its whole timeline."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from aura.cli.database import acts, reads, ready_database, warn_without_worker, writes
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import Format, Refused, cell, emit, err, out, printable, show_fields, show_rows, tell

if TYPE_CHECKING:
    from aura.desk.ticket_actions import Moved

app = typer.Typer(
    name="tickets",
    help="Tickets: list them, show one with its whole timeline, correct it, comment on it, assign it, resolve it.",
    no_args_is_help=True,
)

TicketId = Annotated[int, typer.Argument(help="The ticket's number.")]
Author = Annotated[str, typer.Option("--by", envvar="USER", help="Who says so.")]


def submit(
    title: Annotated[str, typer.Argument(help="The ticket in a few words.")],
    description: Annotated[str, typer.Argument(help="The details; `-` reads them from standard input.")] = "",
    requester: Annotated[
        str, typer.Option("--requester", "-r", help="Who reports it: an e-mail address or a name.")
    ] = "",
    priority: Annotated[
        str | None, typer.Option(help="What the requester claims: low, medium, high or critical.")
    ] = None,
    external_id: Annotated[str | None, typer.Option(help="Your own id: the same id twice is one ticket.")] = None,
    how: FormatOption = "table",
) -> None:
    """Submit one ticket. It is stored at once and worked on as soon as a worker runs."""
    from pydantic import ValidationError

    from aura.settings import explain
    from db.new_tickets import NewTicket

    description = _read(description)
    payload = {
        "title": title,
        "description": description,
        "requester": requester,
        "priority": priority,
        "external_id": external_id,
    }
    try:
        submission = NewTicket.model_validate(payload)
    except ValidationError as error:
        raise Refused(explain(error)) from None
    with writes() as session:
        from db import tickets
        from pipelines.triage import triage

        new = tickets.create(session, "cli", [(submission, payload)])
        triage.send_many(new)
        ticket_id = new[0] if new else tickets.find(session, "cli", submission.external_id)
    if tell(how, {"id": ticket_id, "new": bool(new)}, f"ticket {ticket_id}" + ("" if new else " (known before)")):
        warn_without_worker()


def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A .csv or .jsonl file, or .gz of it.")
    ],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, such as description=Details; may be repeated.")
    ] = None,
    how: FormatOption = "table",
) -> None:
    """Import tickets from a file. Bad rows are reported with their line and skipped; running it twice adds none.

    Fields: title, description, requester, department, priority, external_id; usual column names are recognised.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from db.new_tickets import NewTicket

    columns: dict[str, str] = {}
    for each in mapping or []:
        fieldname, found, column = each.partition("=")
        if not found or fieldname not in NewTicket.model_fields:
            raise Refused(f"--map {each}: use FIELD=COLUMN with one of {', '.join(NewTicket.model_fields)}")
        columns[fieldname] = column
    with ready_database():
        from aura.desk.ticket_import import ImportFailed, import_file

        bar = Progress(TextColumn("importing"), BarColumn(40), DownloadColumn(), TimeRemainingColumn(), console=err)
        try:
            with bar:
                task = bar.add_task("", total=file.stat().st_size)
                report = import_file(file, columns=columns, progress=lambda done: bar.update(task, completed=done))
        except ImportFailed as error:
            raise Refused(str(error)) from None
        for line, reason in report.bad:
            err.print(f"{file}:{line}: {reason}", style="yellow", markup=False, soft_wrap=True)
        if report.rejected > len(report.bad):
            err.print(f"... and {report.rejected - len(report.bad)} more bad rows", style="yellow")
        result = {"rows": report.rows, "new": report.new, "known": report.known, "rejected": report.rejected}
        said = f"{report.rows} rows: {report.new} new tickets, {report.known} known before, {report.rejected} rejected"
        if tell(how, result, said) and report.new:
            warn_without_worker()


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help="open, in_progress, pending, resolved or closed.")] = None,
    stage: Annotated[str | None, typer.Option(help="received, prepared, classified or notified.")] = None,
    category: Annotated[str | None, typer.Option(help="Such as Network.")] = None,
    due: Annotated[bool, typer.Option("--due", help="Those with a target, what is late or due next first.")] = False,
    limit: LimitOption = 50,
    how: FormatOption = "table",
) -> None:
    """List the newest tickets, or with --due those that should be resolved next."""
    with reads() as session:
        from db import tickets
        from db.timeline import summary

        found = tickets.listing(session, status=status, stage=stage, category=category, due=due, limit=limit)
        rows = [summary(ticket) for ticket in found]
    if due:
        columns = ("id", "title", "priority", "status", "assignee", "due_at", "sla_state")
        show_rows(rows, columns, how, "No ticket has a target that runs. AURA_SLA sets them; see docs/sla.md")
        return
    columns = ("id", "title", "category", "priority", "stage", "assignee", "created_at")
    show_rows(rows, columns, how, 'No tickets. Submit one: aura submit "VPN drops" -r ada@example.com')


@app.command("show")
def show(ticket_id: TicketId, how: FormatOption = "table") -> None:
    """Show one ticket with everything that happened to it and everything still promised."""
    with reads() as session:
        from db.timeline import timeline

        found = timeline(session, ticket_id)
    if found is None:
        raise Refused(f"there is no ticket {ticket_id}; `aura tickets list` shows those there are")
    if how == "json":
        emit(found)
        return
    entries, waiting = found.pop("timeline"), found.pop("jobs")
    show_fields(found)
    out.print()
    table = Table("at", "what", "details", header_style="bold", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(cell(entry.pop("at")), entry.pop("kind"), _details(entry))
    out.print(table)
    for job in waiting:
        out.print(
            f"waits for {job['actor']}, due {cell(job['due_at'])}, attempts so far: {job['attempts']}", markup=False
        )


@app.command("correct")
def correct(
    ticket_id: TicketId,
    category: Annotated[str | None, typer.Option(help="What it is about, such as Network.")] = None,
    priority: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    author: Author = "operator",
    how: FormatOption = "table",
) -> None:
    """Say what a ticket is about or how urgent it is, for good; to say what is there confirms it.

    No engine overwrites it, people are told of a change, and `aura learn` learns from it.
    """
    with _at_the_desk("correct", ticket_id, category=category, priority=priority) as desk:
        changed = desk.correct(ticket_id, author, category, priority)
    said = f"ticket {ticket_id}: {' and '.join(changed)} changed" if changed else f"ticket {ticket_id} confirmed"
    if tell(how, {"id": ticket_id, "changed": changed}, said) and changed:
        warn_without_worker()


@app.command("resolve")
def resolve(
    ticket_id: TicketId,
    resolution: Annotated[str, typer.Argument(help="What resolved it; `-` reads it from standard input.")],
    author: Author = "operator",
    how: FormatOption = "table",
) -> None:
    """Mark a ticket as resolved, tell who reported it, and keep what resolved it for the next one like it."""
    resolution = _read(resolution)
    with _at_the_desk("resolve", ticket_id) as desk:
        desk.resolve(ticket_id, resolution, author)
    _told(how, {"id": ticket_id, "status": "resolved"}, f"ticket {ticket_id} resolved")


@app.command("status")
def status(
    ticket_id: TicketId,
    status: Annotated[str, typer.Argument(help="open, in_progress, pending, resolved or closed.")],
    author: Author = "operator",
    how: FormatOption = "table",
) -> None:
    """Say how far a ticket is. While it is pending, waiting for who reported it, its time stands still."""
    with _at_the_desk("status", ticket_id, status=status) as desk:
        done = desk.set_status(ticket_id, status, author)
    _told(how, *_moved(ticket_id, done))


@app.command("reopen")
def reopen(
    ticket_id: TicketId,
    reason: Annotated[str, typer.Argument(help="Why; it becomes a comment. `-` reads it from standard input.")] = "",
    author: Author = "operator",
    how: FormatOption = "table",
) -> None:
    """Open a resolved or closed ticket again, and tell who has it; its time runs on."""
    reason = _read(reason)
    with _at_the_desk("reopen", ticket_id, reason=reason) as desk:
        done = desk.reopen(ticket_id, author, reason)
    _told(how, *_moved(ticket_id, done))


@app.command("assign")
def assign(
    ticket_id: TicketId,
    agent: Annotated[str | None, typer.Argument(help="The agent's name or e-mail address.")] = None,
    nobody: Annotated[
        bool, typer.Option("--nobody", help="Take it from whoever has it; routing leaves it so.")
    ] = False,
    author: Author = "operator",
    how: FormatOption = "table",
) -> None:
    """Give a ticket to an agent, who is told, or to nobody; no routing changes that again."""
    if nobody == (agent is not None):
        raise Refused("say to whom: an agent from `aura agents list`, or --nobody")
    with _at_the_desk("assign", ticket_id, agent=agent) as desk:
        name = desk.assign(ticket_id, agent, author)
    _told(how, {"id": ticket_id, "assignee": name}, f"ticket {ticket_id} is given to {name or 'nobody'}")


@app.command("comment")
def comment(
    ticket_id: TicketId,
    text: Annotated[str, typer.Argument(help="What there is to add; `-` reads it from standard input.")],
    author: Author = "operator",
    how: FormatOption = "table",
) -> None:
    """Add a comment to a ticket; while it is open, an engine looks at it again and reads that."""
    text = _read(text)
    with _at_the_desk("comment", ticket_id) as desk:
        number = desk.comment(ticket_id, author, text)
    tell(how, {"id": ticket_id, "comment": number}, f"ticket {ticket_id} has comment {number}")


@contextmanager
def _at_the_desk(action: str, ticket_id: int, **details: Any) -> Iterator[ModuleType]:
    with ready_database():
        from aura.desk import ticket_actions as desk
        from db.tickets import UnknownTicket

        try:
            with acts(f"ticket.{action}", f"ticket/{ticket_id}", **details):
                yield desk
        except (desk.NotAllowed, UnknownTicket) as error:
            raise Refused(str(error)) from None


def _moved(ticket_id: int, done: Moved) -> tuple[dict[str, Any], str]:
    from actors.sla import wall_time

    said = f"ticket {ticket_id}: {done.before} -> {done.status}"
    if done.due_at:
        said += f", due {wall_time(done.due_at)}"
    elif done.status == "pending":
        said += ", its time stands still"
    return {"id": ticket_id, "before": done.before, "status": done.status, "due_at": done.due_at}, said


def _told(how: Format, value: dict[str, Any], line: str) -> None:
    if tell(how, value, line):
        warn_without_worker()


def _read(text: str) -> str:
    return sys.stdin.read() if text == "-" else text


def _details(entry: dict[str, Any]) -> str:
    from rich.markup import escape

    said = {name: value for name, value in entry.items() if value not in (None, "", False)}
    lines = "  ".join(f"{k}={cell(v) if isinstance(v, float | datetime) else v}" for k, v in said.items())
    return escape(" ".join(printable(lines).split()))
