"""The command `aura`. Data goes to stdout, everything else to stderr; each listing has `--format json`.

Imports stand inside the commands, so that `aura --help` answers at once and a command loads only what it uses.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    help="Takes in service-desk tickets, decides what each is about and how urgent, tells the right people, loses none.",
    epilog="First steps: `aura demo` shows the whole journey; `aura run` starts everything in one process.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
tickets_app = typer.Typer(help="Tickets: list them, show one with its whole timeline.", no_args_is_help=True)
jobs_app = typer.Typer(help="Jobs: what is promised and not kept yet.", no_args_is_help=True)
dead_app = typer.Typer(help="Dead letters: what was given up, to replay or discard.", no_args_is_help=True)
agents_app = typer.Typer(help="Agents: the people tickets are routed to.", no_args_is_help=True)
app.add_typer(tickets_app, name="tickets")
app.add_typer(jobs_app, name="jobs")
app.add_typer(dead_app, name="dead")
app.add_typer(agents_app, name="agents")

# no emoji: `:smile:` in a ticket's text is not ours to change
err = Console(stderr=True, highlight=False, emoji=False)
out = Console(highlight=False, emoji=False)


class Format(StrEnum):
    """How a result is printed."""

    table = "table"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="table for people, json for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Most rows.")]
DeadId = Annotated[int, typer.Argument(help="A dead letter's number, from `aura dead list`.")]


class Refused(Exception):
    """The command cannot do what was asked; the text says why and what to do."""


def main() -> None:
    """Run the command; what the user can mend is one line on stderr and exit code 1, never a traceback."""
    from settings import SettingsError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no umlaut is no reason to fail
    try:
        app()
    except (Refused, SettingsError) as error:
        err.print(f"aura: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        err.print(f"aura: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def ready_database() -> Iterator[None]:
    """Make sure that the tables are there: a SQLite file is migrated on the spot, PostgreSQL by `aura migrate`."""
    from sqlalchemy.exc import SQLAlchemyError

    from db.migrate import migrate, revisions
    from settings import first_line, get_settings, redact

    settings = get_settings()
    where = redact(settings.database_url.get_secret_value())
    try:
        current, newest = revisions()
        if current != newest:
            if not settings.sqlite:
                raise Refused(f"{where} is at revision {current or 'none'}, not {newest}: run `aura migrate`")
            migrate()
        yield
    except SQLAlchemyError as error:
        raise Refused(f"{where}: {first_line(error)} (see `aura doctor`)") from None


def show(rows: Sequence[dict[str, Any]], columns: Sequence[str], how: Format, empty: str) -> None:
    """Print rows as a table of the columns, or all of them as JSON."""
    if how is Format.json:
        print(json.dumps(rows, default=str, ensure_ascii=False, indent=2))
        return
    if not rows:
        err.print(empty, soft_wrap=True)
        return
    table = Table(*columns, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    out.print(table)


def printable(text: str) -> str:
    """Return the text without what would steer a terminal: escape sequences have no business in a ticket."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = " ".join(printable(str(value)).split())
    return escape(text if len(text) <= 60 else text[:59] + "…")


@app.command()
def demo(how: FormatOption = Format.table) -> None:
    """Run about 80 example tickets from submission to notified, embedded, in a throw-away database."""
    import tempfile

    import settings

    with tempfile.TemporaryDirectory(prefix="aura-demo-") as folder:
        settings.use(settings.given(LOG_LEVEL="ERROR", DATABASE_URL=f"sqlite:///{folder}/aura.db"))
        from pipelines.demo import run_demo

        if how is Format.json:
            result = run_demo(lambda _progress: None)
        else:
            err.print(settings.get_settings().mode(), soft_wrap=True)
            result = _demo_with_progress(run_demo)
        from db.sessions import dispose

        dispose()
    if how is Format.json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        _demo_table(result)
    if result["notified"] < result["tickets"] or result["dead"]:
        raise typer.Exit(1)


def _demo_with_progress(run: Callable[[Callable[[Any], None]], dict[str, Any]]) -> dict[str, Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description:<11}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(), console=err
    )
    with bar:
        lines = {name: bar.add_task(name, total=None) for name in ("submitted", "classified", "notified")}

        def tell(progress: Any) -> None:
            bar.update(lines["submitted"], total=progress.tickets, completed=progress.tickets)
            bar.update(lines["classified"], total=progress.tickets, completed=progress.classified)
            bar.update(lines["notified"], total=progress.tickets, completed=progress.notified)

        return run(tell)


def _demo_table(result: dict[str, Any]) -> None:
    colours = {"critical": "bold red", "high": "yellow", "medium": "default", "low": "dim"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in (("#", 3), ("ticket", 26), ("category", 8), ("priority", 8), ("sure", 4)):
        table.add_column(column, min_width=width, max_width=width, no_wrap=True)
    table.add_column("told", max_width=max(out.width - 60, 16), no_wrap=True)
    for row in result["results"]:
        same = f"= #{row['duplicate_of']} " if row["duplicate_of"] else ""
        sure = f"{row['confidence']:.0%}" if row["confidence"] is not None else "-"
        names = [told.rpartition(" (")[0].partition("@")[0] for told in row["told"]]
        # an agent who is told in the app and by mail is one person
        people = {name.lower().replace(" ", "."): name for name in reversed(names)}
        table.add_row(
            str(row["ticket"]),
            _cell(same + row["title"]),
            row["category"] or "-",
            f"[{colours.get(row['priority'], 'default')}]{row['priority']}[/]",
            sure,
            _cell(", ".join(reversed(people.values()))),
        )
    out.print(table)
    out.print(
        f"\n{result['tickets']} tickets, {result['notified']} notified, {result['dead']} dead letters, "
        f"in {result['seconds']:.1f} seconds."
    )


@app.command()
def run(
    port: Annotated[int | None, typer.Option(help="Port of the web process; default PORT, else 8000.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Worker threads; default AURA_WORKER_THREADS.")] = None,
) -> None:
    """Run everything in one process: web, relay, workers and clock. Ctrl-C finishes what was started and stops."""
    import signal

    import uvicorn

    from settings import get_settings

    settings = get_settings()
    err.print(settings.mode(), soft_wrap=True)
    with ready_database():
        from pipelines.runtime import running
        from web.app import app as web

        port = port or settings.port
        # uvicorn finishes its requests and raises the signal again: then the workers finish theirs
        signal.signal(signal.SIGTERM, _stop)
        with running(threads=threads):
            err.print(f"Listening on http://{settings.host}:{port}  (POST /tickets, GET /tickets/1, /docs)")
            uvicorn.run(web, host=settings.host, port=port, log_config=None)


def _stop(*_: Any) -> None:
    raise SystemExit(0)


@app.command()
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
    how: FormatOption = Format.table,
) -> None:
    """Submit one ticket. It is stored at once and worked on as soon as a worker runs."""
    from pydantic import ValidationError

    from db.tickets import Submission
    from settings import explain

    if description == "-":
        description = sys.stdin.read()
    payload = {
        "title": title,
        "description": description,
        "requester": requester,
        "priority": priority,
        "external_id": external_id,
    }
    try:
        submission = Submission.model_validate(payload)
    except ValidationError as error:
        raise Refused(explain(error)) from None
    with ready_database():
        from db import tickets, transaction
        from pipelines.triage import triage

        with transaction() as session:
            new = tickets.accept(session, "cli", [(submission, payload)])
            triage.send_many(new)
            ticket_id = new[0] if new else tickets.find(session, "cli", submission.external_id)
        if how is Format.json:
            print(json.dumps({"id": ticket_id, "new": bool(new)}))
        else:
            print(f"ticket {ticket_id}" + ("" if new else " (known before)"))
            _warn_without_worker()


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A .csv or .jsonl file, or .gz of it.")
    ],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, such as description=Details; may be repeated.")
    ] = None,
    how: FormatOption = Format.table,
) -> None:
    """Import tickets from a file. Bad rows are reported with their line and skipped; running it twice adds none.

    Fields: title, description, requester, department, priority, external_id; usual column names are recognised.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from db.tickets import Submission

    columns: dict[str, str] = {}
    for each in mapping or []:
        fieldname, found, column = each.partition("=")
        if not found or fieldname not in Submission.model_fields:
            raise Refused(f"--map {each}: use FIELD=COLUMN with one of {', '.join(Submission.model_fields)}")
        columns[fieldname] = column
    with ready_database():
        from pipelines.importing import ImportFailed, import_file

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
        if how is Format.json:
            print(json.dumps(result))
        else:
            print(
                f"{report.rows} rows: {report.new} new tickets, {report.known} known before, {report.rejected} rejected"
            )
            if report.new:
                _warn_without_worker()


def _warn_without_worker() -> None:
    from db import reading
    from db.overview import living
    from settings import get_settings

    with reading() as session:
        if not living(session, "worker", get_settings().worker_dead_after):
            command = "aura run" if get_settings().embedded else "dramatiq actors"
            err.print(f"No worker is running; tickets wait until you start `{command}`.")


@tickets_app.command("list")
def tickets_list(
    status: Annotated[str | None, typer.Option(help="open, in_progress, pending, resolved or closed.")] = None,
    stage: Annotated[str | None, typer.Option(help="received, prepared, classified or notified.")] = None,
    category: Annotated[str | None, typer.Option(help="Such as Network.")] = None,
    limit: LimitOption = 50,
    how: FormatOption = Format.table,
) -> None:
    """List the newest tickets."""
    with ready_database():
        from db import reading, tickets
        from db.timeline import summary

        with reading() as session:
            found = tickets.listing(session, status=status, stage=stage, category=category, limit=limit)
            rows = [summary(ticket) for ticket in found]
    columns = ("id", "title", "category", "priority", "stage", "assignee", "created_at")
    show(rows, columns, how, 'No tickets. Submit one: aura submit "VPN drops" -r ada@example.com')


@tickets_app.command("show")
def tickets_show(
    ticket_id: Annotated[int, typer.Argument(help="The ticket's number.")], how: FormatOption = Format.table
) -> None:
    """Show one ticket with everything that happened to it and everything still promised."""
    with ready_database():
        from db import reading
        from db.timeline import timeline

        with reading() as session:
            found = timeline(session, ticket_id)
    if found is None:
        raise Refused(f"there is no ticket {ticket_id}; `aura tickets list` shows those there are")
    if how is Format.json:
        print(json.dumps(found, default=str, ensure_ascii=False, indent=2))
        return
    entries, waiting = found.pop("timeline"), found.pop("waiting")
    for name, value in found.items():
        if value not in (None, ""):
            out.print(printable(f"{name:>16}  {value}"), markup=False, soft_wrap=True)
    out.print()
    table = Table("at", "what", "details", header_style="bold", box=None, pad_edge=False)
    for entry in entries:
        table.add_row(_cell(entry.pop("at")), entry.pop("what"), _details(entry))
    out.print(table)
    for job in waiting:
        out.print(
            f"waits for {job['actor']}, due {_cell(job['due_at'])}, attempts so far: {job['attempts']}", markup=False
        )


def _details(entry: dict[str, Any]) -> str:
    from rich.markup import escape

    said = {name: value for name, value in entry.items() if value not in (None, "", False)}
    lines = "  ".join(f"{k}={_cell(v) if isinstance(v, float | datetime) else v}" for k, v in said.items())
    return escape(" ".join(printable(lines).split()))


@jobs_app.command("list")
def jobs_list(
    actor: Annotated[str | None, typer.Option(help="Only jobs of this actor, such as classify.")] = None,
    limit: LimitOption = 50,
    how: FormatOption = Format.table,
) -> None:
    """List promised jobs, the oldest first."""
    with ready_database():
        from db import reading
        from db.overview import waiting_jobs

        with reading() as session:
            rows = waiting_jobs(session, actor=actor, limit=limit)
    columns = ("id", "actor", "key", "state", "priority", "due_at", "attempts", "last_error")
    show(rows, columns, how, "No jobs: everything that was promised is done.")


@dead_app.command("list")
def dead_list(
    state: Annotated[str, typer.Option(help="dead, replayed or discarded.")] = "dead",
    limit: LimitOption = 50,
    how: FormatOption = Format.table,
) -> None:
    """List dead letters, the newest first."""
    with ready_database():
        from db import dead_letters, reading

        with reading() as session:
            rows = [_letter(letter) for letter in dead_letters.listing(session, state, limit)]
    columns = ("id", "actor", "key", "attempts", "error_type", "error", "fingerprint", "created_at")
    show(rows, columns, how, f"No {state} letters.")


@dead_app.command("show")
def dead_show(letter_id: DeadId, how: FormatOption = Format.table) -> None:
    """Show one dead letter with its error, its traceback and what it would take to replay it."""
    with _dead_letters() as dead_letters:
        from db import reading

        with reading() as session:
            letter = _letter(dead_letters.get(session, letter_id))
    if how is Format.json:
        print(json.dumps(letter, default=str, ensure_ascii=False, indent=2))
        return
    traceback = letter.pop("traceback")
    for name, value in letter.items():
        if value not in (None, ""):
            out.print(printable(f"{name:>12}  {value}"), markup=False, soft_wrap=True)
    if traceback:
        out.print(printable(f"\n{traceback}"), markup=False, soft_wrap=True)


@dead_app.command("replay")
def dead_replay(letter_id: DeadId) -> None:
    """Promise the job again, with fresh attempts."""
    with _dead_letters() as dead_letters:
        from db import transaction

        with transaction() as session:
            letter = dead_letters.replay(session, letter_id)
        print(f"{letter.actor} {letter.key} is due again")
        _warn_without_worker()


@dead_app.command("discard")
def dead_discard(
    letter_id: DeadId, reason: Annotated[str, typer.Option(prompt="Why", help="Kept with the dead letter.")]
) -> None:
    """Give the job up for good; the row and your reason stay."""
    with _dead_letters() as dead_letters:
        from db import transaction

        with transaction() as session:
            dead_letters.discard(session, letter_id, reason)
        print(f"dead letter {letter_id} is discarded")


@contextmanager
def _dead_letters() -> Iterator[Any]:
    with ready_database():
        from db import dead_letters

        try:
            yield dead_letters
        except dead_letters.UnknownDeadLetter as error:
            raise Refused(str(error)) from None


def _letter(letter: Any) -> dict[str, Any]:
    fields = "id state actor key pipeline then args priority attempts error_type error fingerprint reason created_at"
    row = {name: getattr(letter, name) for name in [*fields.split(), "resolved_at", "traceback"]}
    raw: bytes | None = letter.raw
    return row | {"raw": raw.decode("utf-8", "backslashreplace") if raw is not None else None}


@agents_app.command("list")
def agents_list(how: FormatOption = Format.table) -> None:
    """List the agents."""
    with ready_database():
        from db import reading
        from db.overview import staff

        with reading() as session:
            rows = staff(session)
    columns = ("name", "email", "team", "skills", "capacity", "available")
    show(rows, columns, how, "No agents: every ticket goes to AURA_SERVICE_DESK. Add some: aura agents import FILE.csv")


@agents_app.command("import")
def agents_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, see examples/agents.csv.")],
) -> None:
    """Add or change agents, by name, from a CSV file: name, email, team, skills (a;b), capacity, available."""
    with ready_database():
        from pipelines.staff import StaffFailed, import_staff

        try:
            print(f"{import_staff(file)} agents")
        except StaffFailed as error:
            raise Refused(str(error)) from None


@app.command()
def migrate() -> None:
    """Create or upgrade the tables; safe to run from several places at once."""
    from sqlalchemy.exc import SQLAlchemyError

    from db.migrate import migrate as upgrade
    from db.migrate import revisions
    from settings import first_line

    try:
        before, newest = revisions()
        upgrade()
    except SQLAlchemyError as error:
        raise Refused(f"{first_line(error)} (see `aura doctor`)") from None
    print(f"revision {newest}" + (" (nothing to do)" if before == newest else f" (was {before or 'empty'})"))


@app.command()
def clock() -> None:
    """Run the timetable: re-analysis, recovery, pruning. Several clocks may run; one leads."""
    import signal

    with ready_database():
        from actors.logs import configure_logging
        from pipelines.clock import Clock

        configure_logging()
        timekeeper = Clock()

        signal.signal(signal.SIGTERM, _stop)
        err.print("The clock runs. Ctrl-C stops it.")
        try:
            timekeeper.start(blocking=True)
        except (KeyboardInterrupt, SystemExit):
            timekeeper.stop()


@app.command()
def doctor(how: FormatOption = Format.table) -> None:
    """Check settings, database, RabbitMQ, Redis and the OpenAI key; exit code 1 when something must be mended."""
    from settings import SettingsError, get_settings

    try:
        get_settings()
    except SettingsError as error:
        rows = [{"name": "settings", "ok": False, "detail": str(error), "fix": "correct the variable that is named"}]
    else:
        from dataclasses import asdict

        from web.health import checks

        rows = [asdict(check) for check in checks()]
    if how is Format.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for row in rows:
            mark = "[green]ok  [/]" if row["ok"] else "[red]FAIL[/]"
            detail = str(row["detail"]).replace("[", "\\[")
            out.print(f"{mark} {row['name']:<10} {detail}", soft_wrap=True)
            if row["fix"]:
                out.print(f"                -> {row['fix']}", soft_wrap=True)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
