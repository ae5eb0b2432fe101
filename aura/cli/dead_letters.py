"""`aura dead-letters`: jobs that failed for the last time and messages that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from aura.cli.database import reads
from aura.cli.dead_letter_actions import discard, replay
from aura.cli.options import ActorOption, FingerprintOption, FormatOption, LimitOption, SinceOption
from aura.cli.output import out, print_fields, print_json, print_rows, printable
from aura.errors import Conflict

app = typer.Typer(
    name="dead-letters",
    help="Dead letters: failed jobs and unreadable messages; list, show, replay or discard them.",
    epilog="After an outage: `aura dead-letters groups`, `aura dead-letters show ID`, fix the cause, "
    "`aura dead-letters replay --fingerprint F --limit 10`.",
    no_args_is_help=True,
)

LetterId = Annotated[
    int, typer.Argument(metavar="ID", help="Number of the dead letter, from `aura dead-letters list`.")
]
StateOption = Annotated[Literal["dead", "replayed", "discarded"], typer.Option("--state", help="Only in this state.")]

#: Bytes of a message that `show` prints.
TEXT_SHOWN, HEX_SHOWN = 2000, 1024


@app.command("list")
def list_(
    actor: ActorOption = None,
    fingerprint: FingerprintOption = None,
    since: SinceOption = None,
    state: StateOption = "dead",
    limit: LimitOption = 50,
    fmt: FormatOption = "table",
) -> None:
    """List dead letters, the newest first. A dead letter without an actor is a message that cannot be read.

    Example: aura dead-letters list --actor classify --since 2h
    """
    with reads() as session:
        from db.dead_letters import listing

        rows = listing(session, state, limit, actor=actor, fingerprint=fingerprint, since=since)
    columns = ("id", "actor", "key", "attempts", "error_type", "error", "fingerprint", "created_at")
    filtered = (actor, fingerprint, since) != (None, None, None)
    print_rows(rows, columns, fmt, f"No such {state} letters." if filtered else f"No {state} letters.")


@app.command("groups")
def groups(
    since: SinceOption = None, state: StateOption = "dead", limit: LimitOption = 50, fmt: FormatOption = "table"
) -> None:
    """Count dead letters by error: one row per fingerprint. Start here after an outage.

    Example: aura dead-letters groups --since 14:00
    """
    with reads() as session:
        from db.dead_letters import groups

        rows = groups(session, state, limit, since)
    if fmt == "table":
        rows = [row | {"actor": row["actor"] or f"(message in {row['key']})"} for row in rows]
    columns = ("letters", "fingerprint", "actor", "error_type", "error", "first", "last", "newest")
    print_rows(rows, columns, fmt, f"No {state} letters.")


@app.command("show")
def show(letter_id: LetterId, fmt: FormatOption = "table") -> None:
    """Show a dead letter: the job or message, the error of each attempt, and the traceback.

    Example: aura dead-letters show 17
    """
    with reads() as session:
        from db.dead_letters import history

        letter = history(session, letter_id)
    raw = letter.pop("raw")
    if fmt == "json":
        text = None if raw is None else _text(raw)
        print_json(letter | {"raw": text, "raw_hex": None if raw is None or text is not None else raw.hex()})
        return
    ledger, traceback, size = letter.pop("ledger"), letter.pop("traceback"), letter.pop("raw_size")
    print_fields(letter)
    if ledger:
        out.print()
        print_rows(ledger, ("number", "outcome", "created_at", "seconds", "error"), fmt, "")
    if traceback:
        out.print(printable(f"\n{traceback}"), markup=False, soft_wrap=True)
    if raw is not None:
        print(f"\nMessage of {size} bytes; `aura dead-letters export {letter_id} FILE` writes it to a file:\n")
        out.print(_readable(raw), markup=False, soft_wrap=True)


@app.command("export")
def export(
    letter_id: LetterId, file: Annotated[Path, typer.Argument(dir_okay=False, help="File to write the message to.")]
) -> None:
    """Write an unreadable message to a file, byte for byte, to correct and replay it.

    Example: aura dead-letters export 17 message.json
    """
    with reads() as session:
        from db import dead_letters

        raw = dead_letters.get(session, letter_id).raw
    if raw is None:
        raise Conflict(f"dead letter {letter_id} is a job, not a message; see `aura dead-letters show {letter_id}`")
    file.write_bytes(raw)
    print(f"{len(raw)} bytes written. Correct the message, then: aura dead-letters replay {letter_id} --body {file}")


app.command("replay")(replay)
app.command("discard")(discard)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _readable(raw: bytes) -> str:
    """Return the beginning of the bytes as text, or as a hex dump when they hold control characters or no UTF-8."""
    text = (_text(raw) or "").replace("\r\n", "\n")
    if text and printable(text) == text:
        return text[:TEXT_SHOWN] + ("…" if len(text) > TEXT_SHOWN else "")
    lines = []
    for start in range(0, min(len(raw), HEX_SHOWN), 16):
        line = raw[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        lines.append(f"{start:08x}  {line.hex(' '):<47}  {shown}")
    return "\n".join(lines + ["…"] * (len(raw) > HEX_SHOWN))
