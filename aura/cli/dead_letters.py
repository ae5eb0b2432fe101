"""`aura dead`: what was given up, and why; replay.py brings it back or ends it for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from aura.cli.database import reads
from aura.cli.dead_letters_replay import discard, replay
from aura.cli.options import ActorOption, AlikeOption, FormatOption, LimitOption, SinceOption
from aura.cli.output import Refused, emit, out, printable, show_fields, show_rows

app = typer.Typer(
    name="dead",
    help="Dead letters: what was given up; see why, replay it or discard it.",
    epilog="After an outage: `aura dead groups`, `aura dead show ID`, mend it, "
    "`aura dead replay --fingerprint F --limit 10`.",
    no_args_is_help=True,
)

DeadId = Annotated[int, typer.Argument(metavar="ID", help="A dead letter's number, from `aura dead list`.")]
StateOption = Annotated[Literal["dead", "replayed", "discarded"], typer.Option("--state", help="What became of it.")]


@app.command("list")
def list_(
    actor: ActorOption = None,
    fingerprint: AlikeOption = None,
    since: SinceOption = None,
    state: StateOption = "dead",
    limit: LimitOption = 50,
    how: FormatOption = "table",
) -> None:
    """List dead letters, the newest first. One that names no actor is a message that could not be read."""
    with reads() as session:
        from db.dead_letters import listing

        rows = listing(session, state, limit, actor=actor, fingerprint=fingerprint, since=since)
    columns = ("id", "actor", "key", "attempts", "error_type", "error", "fingerprint", "created_at")
    some = (actor, fingerprint, since) != (None, None, None)
    show_rows(rows, columns, how, f"No such {state} letters." if some else f"No {state} letters.")


@app.command("groups")
def groups(
    since: SinceOption = None, state: StateOption = "dead", limit: LimitOption = 50, how: FormatOption = "table"
) -> None:
    """Count dead letters by what went wrong: a hundred alike are one line. Start here after an outage."""
    with reads() as session:
        from db.dead_letters import groups

        rows = groups(session, state, limit, since)
    if how == "table":
        rows = [row | {"actor": row["actor"] or f"(message in {row['key']})"} for row in rows]
    columns = ("letters", "fingerprint", "actor", "error_type", "error", "first", "last", "newest")
    show_rows(rows, columns, how, f"No {state} letters.")


@app.command("show")
def show(letter_id: DeadId, how: FormatOption = "table") -> None:
    """Show one dead letter: the job or the message, every attempt's error, the traceback."""
    with reads() as session:
        from db.dead_letters import history

        letter = history(session, letter_id)
    raw = letter.pop("raw")
    if how == "json":
        text = None if raw is None else _text(raw)
        emit(letter | {"raw": text, "raw_hex": None if raw is None or text is not None else raw.hex()})
        return
    ledger, traceback = letter.pop("ledger"), letter.pop("traceback")
    show_fields(letter)
    if ledger:
        out.print()
        show_rows(ledger, ("number", "outcome", "created_at", "seconds", "error"), how, "")
    if traceback:
        out.print(printable(f"\n{traceback}"), markup=False, soft_wrap=True)
    if raw is not None:
        print(f"\nThe message, {len(raw)} bytes; `aura dead export {letter_id} FILE` writes them as they came:\n")
        out.print(_readable(raw), markup=False, soft_wrap=True)


@app.command("export")
def export(
    letter_id: DeadId, file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write the bytes.")]
) -> None:
    """Write a message that could not be read to a file, exactly as it came, to be corrected and replayed."""
    with reads() as session:
        from db import dead_letters

        raw = dead_letters.get(session, letter_id).raw
    if raw is None:
        raise Refused(f"dead letter {letter_id} is a job, not a message; see `aura dead show {letter_id}`")
    file.write_bytes(raw)
    print(f"{len(raw)} bytes. Correct them, then: aura dead replay {letter_id} --body {file}")


app.command("replay")(replay)
app.command("discard")(discard)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _readable(raw: bytes) -> str:
    """Return the beginning of the bytes as text, or as a hex dump when a terminal could not show it faithfully."""
    text = (_text(raw) or "").replace("\r\n", "\n")
    if text and printable(text) == text:
        return text[:2000] + ("…" if len(text) > 2000 else "")
    lines = []
    for start in range(0, min(len(raw), 1024), 16):
        line = raw[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        lines.append(f"{start:08x}  {line.hex(' '):<47}  {shown}")
    return "\n".join(lines + ["…"] * (len(raw) > 1024))
