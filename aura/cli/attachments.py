"""`aura tickets attachments`: list the attachments of a ticket, and save them to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aura.cli.database import ready_database
from aura.cli.options import FormatOption
from aura.cli.output import note, print_rows, printable

if TYPE_CHECKING:
    from db.attachments import StoredAttachment


def attachments(
    ticket_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the ticket.")],
    save: Annotated[
        Path | None, typer.Option("--save", metavar="DIR", help="Save the files to this folder; replaces no file.")
    ] = None,
    number: Annotated[int | None, typer.Option("--number", "-n", help="Only the attachment of this number.")] = None,
    fmt: FormatOption = "table",
) -> None:
    """List the attachments of a ticket, or save them.

    Example: aura tickets attachments 17 --save files
    """
    with ready_database():
        from db import attachments, reading, tickets

        with reading() as session:
            tickets.ensure_exists(session, ticket_id)
            only = None if number is None else [attachments.find(session, ticket_id, number)]
            found = attachments.listing(session, ticket_id) if only is None else only
        if save is None:
            rows = [{**each._asdict(), "stored": each.storage or each.reason} for each in found]
            print_rows(
                rows, ("id", "name", "content_type", "size", "stored"), fmt, f"Ticket {ticket_id} has no attachments."
            )
            return
        save.mkdir(parents=True, exist_ok=True)
        for each in found:
            _save(each, save)


def _save(attachment: StoredAttachment, folder: Path) -> None:
    """Write one content to a new file and print its path; print a note for one that is not stored."""
    from aura.attachments.content import read_content

    if not attachment.storage:
        note(f"{printable(attachment.name)} is not stored: {attachment.reason}")
        return
    path = _new_file(folder, attachment.name)
    try:
        with path.open("wb") as file:
            for part in read_content(attachment):
                file.write(part)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    print(printable(str(path)))


def _new_file(folder: Path, name: str) -> Path:
    """Create an empty file that did not exist, with a number before the ending of a name that is in use."""
    from aura.attachments.names import safe_name

    plain = Path(safe_name(name))
    for count in range(1, 10_000):
        path = folder / (f"{plain.stem} ({count}){plain.suffix}" if count > 1 else plain.name)
        try:
            path.open("xb").close()  # fails for a symbolic link, too
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{folder / plain.name}: the folder has thousands of files of this name")
