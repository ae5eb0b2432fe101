"""`aura intake`: mails that come in, from an IMAP mailbox, a Maildir, a file or a mail server's pipe."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aura.cli.database import reads, ready_database, warn_without_worker
from aura.cli.options import FormatOption, LimitOption
from aura.cli.output import Refused, err, note, show_rows, tell

if TYPE_CHECKING:
    from aura.mail import IngestResult

app = typer.Typer(
    name="intake",
    help="Mails that come in: take them from a mailbox, a Maildir or a file, and see what became of each.",
    no_args_is_help=True,
)

#: What a mail server understands (sysexits.h): try this mail again later; this mail is not to be had.
TRY_AGAIN, BAD_MAIL = 75, 65

OnceOption = Annotated[bool, typer.Option("--once", help="Take what is there and end, for cron.")]
EveryOption = Annotated[float, typer.Option("--every", min=1, max=3600, help="Seconds between two looks.")]


@app.command("imap")
def imap(once: OnceOption = False, every: EveryOption = 15.0) -> None:
    """Take mails from the mailbox of AURA_IMAP_URL, and go on until Ctrl-C. What is taken moves to Aura/done there."""
    from aura.settings import SettingsError, get_settings

    url = get_settings().imap_url
    if url is None:
        raise SettingsError("AURA_IMAP_URL: not set; it is imaps://user:password@host/INBOX")
    with ready_database(), _until_stopped():
        from aura.mail.imap import Away, Mailbox, watch

        mailbox = Mailbox(url.get_secret_value())
        note(f"Taking mails from {mailbox.name}.")
        try:
            _report(watch(url.get_secret_value(), every, once))
        except Away as error:
            raise Refused(str(error)) from None


@app.command("maildir")
def maildir(
    folder: Annotated[Path, typer.Argument(help="The Maildir, with its folders new/ and cur/.")],
    once: OnceOption = False,
    every: EveryOption = 15.0,
) -> None:
    """Take mails from the new/ of a Maildir, and go on until Ctrl-C. What is taken moves to its cur/, as seen."""
    with ready_database(), _until_stopped():
        from aura.mail.maildir import NoMaildir, take_all

        def looks() -> Iterator[tuple[str, IngestResult]]:
            yield from take_all(folder)
            while not once:
                time.sleep(every)
                yield from take_all(folder)

        try:
            _report(looks())
        except NoMaildir as error:
            raise Refused(str(error)) from None


@app.command("file")
def file(
    files: Annotated[list[Path], typer.Argument(help="Files with one mail each (RFC 822); `-` is standard input.")],
) -> None:
    """Take mails from files, or from the pipe of a mail server: `-` ends with 75 (try again) or 65 (too large)."""
    from aura.settings import SettingsError

    piped = files == [Path("-")]
    try:
        with ready_database():
            counted = _report(_each(files))
    except (Refused, SettingsError, OSError) as error:
        if not piped:
            raise
        # a mail server keeps the mail and offers it again, where any other code would have it sent back
        err.print(f"aura: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(TRY_AGAIN) from None
    if counted["refused"]:
        raise typer.Exit(BAD_MAIL if piped else 1)


@app.command("list")
def list_(
    outcome: Annotated[
        Literal["ticket", "comment", "ignored", "refused"] | None, typer.Option(help="Only those that became this.")
    ] = None,
    limit: LimitOption = 50,
    how: FormatOption = "table",
) -> None:
    """List the newest mails that came in, with what became of each and why."""
    with reads() as session:
        from db.inbound_mails import listing

        rows = listing(session, outcome, limit)
    columns = ("id", "created_at", "sender", "outcome", "ticket_id", "bytes")
    show_rows(rows, columns, how, f"No mails that became {outcome}." if outcome else "No mails.")


@app.command("show")
def show(
    mail_id: Annotated[int, typer.Argument(metavar="ID", help="A mail's number, from `aura intake list`.")],
) -> None:
    """Print a mail as it came, byte for byte."""
    with ready_database():
        from db import inbound_mails, reading

        with reading() as session:
            found = inbound_mails.lock_mail(session, mail_id)
    if found is None:
        raise Refused(f"there is no mail {mail_id}; `aura intake list` shows those there are")
    if not found.raw:
        raise Refused(f"the bytes of mail {mail_id} are gone: they are kept for AURA_MAIL_RETENTION_DAYS")
    sys.stdout.flush()
    sys.stdout.buffer.write(found.raw)


@app.command("accept")
def accept(
    mail_id: Annotated[int, typer.Argument(metavar="ID", help="A mail's number, from `aura intake list`.")],
    how: FormatOption = "table",
) -> None:
    """Make a mail that was ignored a ticket or a comment after all."""
    with ready_database():
        from aura.mail import NotPossible, create_from_ignored

        try:
            taken = create_from_ignored(mail_id)
        except NotPossible as error:
            raise Refused(str(error)) from None
    if tell(
        how, {"id": taken.id, "outcome": taken.outcome, "ticket_id": taken.ticket_id}, _said(f"mail {mail_id}", taken)
    ):
        warn_without_worker()


def _each(files: list[Path]) -> Iterator[tuple[str, IngestResult]]:
    from aura.mail import ingest_mail
    from aura.mail.maildir import take_file
    from aura.settings import get_settings

    for path in files:
        if path == Path("-"):
            # more than the limit is not read into memory; how much more nobody knows then
            yield "standard input", ingest_mail(sys.stdin.buffer.read(get_settings().mail_limit + 1))
        else:
            yield str(path), take_file(path)


def _report(taken: Iterator[tuple[str, IngestResult]]) -> Counter[str]:
    """Print a line for each mail as it is taken, and in the end how many became what."""
    counted: Counter[str] = Counter()
    for name, each in taken:
        print(_said(name, each), flush=True)
        counted["known" if each.known else each.outcome.partition(":")[0]] += 1
    if not counted:
        note("No mails.")
    elif counted["ticket"] or counted["comment"]:
        warn_without_worker()
    if counted["ignored"] or counted["refused"]:
        note("`aura intake list` shows what was ignored or refused, and why.")
    return counted


def _said(name: str, taken: IngestResult) -> str:
    from aura.cli.output import printable

    where = f" {taken.ticket_id}" if taken.outcome in ("ticket", "comment") else ""
    became = f"{'comment on ticket' if taken.outcome == 'comment' else taken.outcome}{where}"
    return printable(f"{name}: {became}{' (known before)' if taken.known else ''}")


@contextmanager
def _until_stopped() -> Iterator[None]:
    """End in good order at SIGTERM and at SIGINT: a mail that is being taken is offered again.

    Python leaves SIGINT ignored when its parent did, as a shell does in the background.
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
