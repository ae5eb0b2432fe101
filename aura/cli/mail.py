"""`aura mail`: inbound mail from an IMAP mailbox, a Maildir, a file or the pipe of a mail server."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aura.cli import mail_login
from aura.cli.database import reads, ready_database, warn_without_worker
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import err, note, print_result, print_rows, printable
from aura.errors import AuraError, ConfigurationError, NotFound

if TYPE_CHECKING:
    from aura.mail import IngestResult

    Results = Iterator[tuple[str, IngestResult]]

app = typer.Typer(
    name="mail",
    help="Inbound mail: fetch it from a mailbox, import it from files, list it, make tickets of ignored mail.",
    no_args_is_help=True,
)

#: Exit codes of sysexits.h, which mail servers understand: try again later; the mail is not accepted.
EX_TEMPFAIL, EX_DATAERR = 75, 65
#: Mails that AURA_MAIL_DMARC_FAILED refused.
UNVERIFIED = "unverified"
STDIN = Path("-")

OnceOption = Annotated[bool, typer.Option("--once", help="Read the mails that are there, then exit (for cron).")]
EveryOption = Annotated[float, typer.Option("--every", min=1, max=3600, help="Seconds between two reads.")]
MailId = Annotated[int, typer.Argument(metavar="ID", help="Number of the mail, from `aura mail list`.")]


@app.command("fetch")
def fetch(once: OnceOption = False, every: EveryOption = 15.0) -> None:
    """Read mails from the mailbox of AURA_IMAP_URL until Ctrl-C, and move them to its folder Aura/done.

    Example: aura mail fetch --once
    """
    from aura.settings import get_settings

    url = get_settings().imap_url
    if url is None:
        raise ConfigurationError("AURA_IMAP_URL: not set; it has the form imaps://user:password@host/INBOX")
    with ready_database(), _until_stopped():
        from aura.mail.imap import Mailbox, watch

        note(f"Reading mails from {Mailbox(url.get_secret_value()).name}.")
        _report(watch(url.get_secret_value(), every, once))


@app.command("import")
def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files with one mail each (RFC 5322), one Maildir, or `-` for stdin."),
    ],
    once: OnceOption = False,
    every: EveryOption = 15.0,
) -> None:
    """Read mails from files, from stdin, or from the new/ of a Maildir until Ctrl-C; then they move to its cur/.

    A reply in a named file needs no reply token: you vouch for its sender. One from stdin or a Maildir does.
    With `-`, for the pipe of a mail server, the exit code is 75 for a temporary failure and 65 for a refused mail.

    Example: aura mail import mail.eml
    """
    if len(paths) == 1 and paths[0].is_dir():
        with ready_database(), _until_stopped(), _progress(paths[0]) as advance:
            _report(advance(_watch_maildir(paths[0], every, once)))
        return
    piped = paths == [STDIN]
    try:
        with ready_database():
            counts = _report(_each(paths))
    except (AuraError, OSError) as error:
        if not piped:
            raise
        # the mail server keeps the mail and tries again; any other code makes it bounce
        err.print(f"aura: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(EX_TEMPFAIL) from None
    if counts["refused"]:
        raise typer.Exit(EX_DATAERR if piped else 1)


@app.command("list")
def list_(
    outcome: Annotated[
        Literal["ticket", "comment", "ignored", "refused"] | None, typer.Option(help="Only mails with this outcome.")
    ] = None,
    limit: LimitOption = 50,
    fmt: FormatOption = "table",
) -> None:
    """List inbound mails, the newest first, with the outcome of each and the reason.

    Example: aura mail list --outcome ignored
    """
    with reads() as session:
        from db.inbound_mails import listing

        rows = listing(session, outcome, limit)
    columns = ("id", "created_at", "sender", "sender_verified", "outcome", "ticket_id", "note", "bytes")
    print_rows(rows, columns, fmt, f"No mails with the outcome {outcome}." if outcome else "No mails.")


@app.command("show")
def show(
    mail_id: MailId,
    text: Annotated[bool, typer.Option("--text", help="Print the decoded text, with quotes and signature.")] = False,
) -> None:
    """Print the source of a mail, byte for byte unless it goes to a terminal, or its text.

    Example: aura mail show 17 --text
    """
    with reads() as session:
        from db import inbound_mails

        mail = inbound_mails.lock_mail(session, mail_id)
    if mail is None:
        raise NotFound(f"there is no mail {mail_id}")
    if not mail.raw:
        raise NotFound(f"the source of mail {mail_id} is deleted, AURA_MAIL_RETENTION_DAYS after its arrival")
    if text:
        from aura.mail import parse_mail

        parsed = parse_mail(mail.raw)
        for name in ("from", "reply-to", "to", "cc", "date", "subject"):
            if value := parsed.header(name):
                print(printable(f"{name.title()}: {value}"))
        print(printable(f"\n{parsed.text}"))
        return
    if sys.stdout.isatty():  # a stranger wrote it, also escape sequences
        print(printable(mail.raw.decode("utf-8", "replace").replace("\r\n", "\n")))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(mail.raw)


@app.command("create-ticket")
def create_ticket(mail_id: MailId, fmt: FormatOption = "table") -> None:
    """Make an ignored mail, or one whose sender is not verified, a ticket, or a comment when it answers a ticket.

    Example: aura mail create-ticket 17
    """
    with ready_database():
        from aura.mail import create_from_ignored

        result = create_from_ignored(mail_id)
    value = {"id": result.id, "outcome": result.outcome, "ticket_id": result.ticket_id}
    if print_result(fmt, value, _line(f"mail {mail_id}", result)):
        warn_without_worker()


@app.command("store-attachments")
def store_attachments() -> None:
    """Store the attachments of earlier mails, which were ingested by version 0.2 and whose source is not deleted yet.

    Example: aura mail store-attachments
    """
    with ready_database():
        from aura.mail.ticket_attachments import store_earlier

        mails = files = 0
        for _, count in store_earlier():
            mails, files = mails + 1, files + count
    print(f"{files} attachments of {mails} mails stored")


app.command("login")(mail_login.login)
app.command("logout")(mail_login.logout)


def _watch_maildir(folder: Path, every: float, once: bool) -> Results:
    from aura.mail.maildir import ingest_all

    yield from ingest_all(folder)
    while not once:
        time.sleep(every)
        yield from ingest_all(folder)


@contextmanager
def _progress(folder: Path) -> Iterator[Callable[[Results], Results]]:
    """Show the progress of the mails that are in new/ at the start, if stderr is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from aura.mail.maildir import count_new

    total = count_new(folder)
    bar = Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err, redirect_stdout=sys.stdout.isatty()
    )
    with bar if total > 1 and err.is_terminal else nullcontext():
        task = bar.add_task("", total=total)

        def advance(results: Results) -> Results:
            for each in results:
                bar.advance(task)
                yield each
                if bar.finished:
                    bar.stop()

        yield advance


def _each(paths: list[Path]) -> Results:
    from aura.mail import ingest_mail
    from aura.mail.maildir import ingest_file
    from aura.settings import get_settings

    for path in paths:
        if path == STDIN:
            # one byte more than the limit shows that the mail is too large; its exact size stays unknown
            yield "standard input", ingest_mail(sys.stdin.buffer.read(get_settings().mail_limit + 1))
        else:
            yield str(path), ingest_file(path)


def _report(results: Results) -> Counter[str]:
    """Print a line for each mail at once. Returns the number of mails by outcome."""
    counts: Counter[str] = Counter()
    for name, each in results:
        print(_line(name, each), flush=True)
        counts[_kind(each)] += 1
    if not counts:
        note("No mails.")
    elif counts["ticket"] or counts["comment"]:
        warn_without_worker()
    if counts["ignored"] or counts["refused"] or counts[UNVERIFIED]:
        note("`aura mail list` shows the ignored and refused mails with the reasons.")
    return counts


def _kind(result: IngestResult) -> str:
    """Return the outcome without its reason. Mail of a forged sender is none to reject: the bounce would go to a victim."""
    from db.inbound_mails import REFUSED_SENDER

    if result.duplicate:
        return "duplicate"
    return UNVERIFIED if result.outcome.startswith(REFUSED_SENDER) else result.outcome.partition(":")[0]


def _line(name: str, result: IngestResult) -> str:
    ticket = f" {result.ticket_id}" if result.outcome in ("ticket", "comment") else ""
    outcome = f"{'comment on ticket' if result.outcome == 'comment' else result.outcome}{ticket}"
    note = f" (names another ticket: {result.note})" if result.note else ""
    return printable(f"{name}: {outcome}{' (duplicate)' if result.duplicate else ''}{note}")


@contextmanager
def _until_stopped() -> Iterator[None]:
    """Exit on SIGTERM and SIGINT: the mail in progress is rolled back and read again by the next start.

    Python ignores SIGINT when its parent did, as a shell does for a command in the background.
    """
    import signal

    from aura.jobs.logs import configure_logging

    def stop(*_: Any) -> None:
        raise SystemExit(0)

    configure_logging()
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
