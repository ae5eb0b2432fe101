"""`aura dead-letters replay` and `discard`: one dead letter, a group of the same error, or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import audited, reads, warn_without_worker
from aura.cli.options import FingerprintOption, FormatOption, ReasonOption, SinceOption
from aura.cli.output import Format, err, note, print_result
from aura.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LetterIdOption = Annotated[
    int | None, typer.Argument(metavar="ID", help="One dead letter, from `aura dead-letters list`.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters.")]
AtMostOption = Annotated[int | None, typer.Option("--limit", min=1, help="Maximum number, the oldest first.")]

#: Dead letters in one transaction of a bulk replay or discard.
BATCH = 500


def replay(
    letter_id: LetterIdOption = None,
    fingerprint: FingerprintOption = None,
    every: AllOption = False,
    since: SinceOption = None,
    limit: AtMostOption = None,
    args: Annotated[str | None, typer.Option(help="New arguments of the job, as a JSON list; needs ID.")] = None,
    body: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File with the corrected message, as JSON; needs ID."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also dead letters that reached AURA_REPLAY_LIMIT or were discarded.")
    ] = False,
    fmt: FormatOption = "table",
) -> None:
    """Enqueue the job of a dead letter again, with fresh attempts. Choose one, a group, or all.

    A job that was replayed AURA_REPLAY_LIMIT times and failed again is refused: fix the cause first. A message that
    cannot be read needs a correction: export it, edit the file, replay it with --body.

    Example: aura dead-letters replay --fingerprint 3f2a91c0d7e4 --limit 10
    """
    _check_choice(letter_id, fingerprint, every, since)
    if letter_id is None:
        if args is not None or body is not None:
            raise InvalidInput("--args and --body correct one dead letter: name its ID")
        _replay_many(fingerprint, since, limit, force, fmt)
        return
    with audited("dead_letter.replay", f"dead_letter/{letter_id}", force=force) as session:
        from db import dead_letters

        if body is not None:
            text = f"message for {_replay_message(session, letter_id, body.read_bytes(), force)} accepted"
        else:
            if dead_letters.get(session, letter_id).raw is not None:
                raise Conflict(
                    f"dead letter {letter_id} is an unreadable message: `aura dead-letters export {letter_id} FILE`, "
                    f"correct the file, `aura dead-letters replay {letter_id} --body FILE`"
                )
            letter = dead_letters.replay(session, letter_id, args=_arguments(args), force=force)
            text = f"{letter.actor} {letter.key} enqueued"
    if print_result(fmt, {"replayed": 1}, text):
        warn_without_worker()


def _replay_many(fingerprint: str | None, since: datetime | None, limit: int | None, force: bool, fmt: Format) -> None:
    with reads() as session:
        from aura.settings import get_settings
        from db import dead_letters

        ids = dead_letters.replayable(session, fingerprint, limit, force=force, since=since)
        capped, unreadable = dead_letters.not_replayable(session, fingerprint, since)
        capped = 0 if force else capped
    done = _in_batches("replay", fingerprint, ids, dead_letters.replay_many)
    value = {"replayed": done, "replayed_too_often": capped, "unreadable": unreadable}
    if not print_result(fmt, value, f"{done} replayed"):
        return
    if capped:
        note(
            f"{capped} skipped: AURA_REPLAY_LIMIT ({get_settings().replay_limit}) is reached; fix the cause, or --force"
        )
    if unreadable:
        note(f"{unreadable} skipped: unreadable messages; correct each, see `aura dead-letters export --help`")
    if done:
        warn_without_worker()


def discard(
    reason: ReasonOption,
    letter_id: LetterIdOption = None,
    fingerprint: FingerprintOption = None,
    every: AllOption = False,
    since: SinceOption = None,
    limit: AtMostOption = None,
    fmt: FormatOption = "table",
) -> None:
    """Discard dead letters: their jobs do not run again. The rows and the reason are stored.

    Example: aura dead-letters discard 17 --reason "a test"
    """
    _check_choice(letter_id, fingerprint, every, since)
    if letter_id is not None:
        with audited("dead_letter.discard", f"dead_letter/{letter_id}", reason=reason) as session:
            from db import dead_letters

            dead_letters.discard(session, letter_id, reason)
        done, text = 1, f"dead letter {letter_id} discarded"
    else:
        with reads() as session:
            from db import dead_letters

            ids = dead_letters.discardable(session, fingerprint, limit, since)

        def discard_batch(session: Session, batch: Sequence[int]) -> int:
            return dead_letters.discard_many(session, batch, reason)

        done = _in_batches("discard", fingerprint, ids, discard_batch, reason=reason)
        text = f"{done} discarded"
    print_result(fmt, {"discarded": done}, text)


def _check_choice(letter_id: int | None, fingerprint: str | None, every: bool, since: datetime | None) -> None:
    if letter_id is not None and since is not None:
        raise InvalidInput("--since selects several dead letters: omit ID")
    if [letter_id is not None, fingerprint is not None, every].count(True) != 1:
        raise InvalidInput("name one of ID, --fingerprint and --all")


def _in_batches(
    action: str,
    fingerprint: str | None,
    ids: Sequence[int],
    step: Callable[[Session, Sequence[int]], int],
    **details: str,
) -> int:
    """Apply the step to the dead letters, one transaction per batch. Returns the number that changed."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(action), BarColumn(40), MofNCompleteColumn(), TimeRemainingColumn())
    done = 0
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(action, total=len(ids))
        subject = f"fingerprint/{fingerprint}" if fingerprint else "dead_letter"
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            with audited(f"dead_letter.{action}", subject, letters=len(batch), **details) as session:
                done += step(session, batch)
            bar.advance(task, len(batch))
    return done


def _arguments(text: str | None) -> list[Any] | None:
    from db.new_tickets import parse_json

    if text is None:
        return None
    try:
        arguments = parse_json(text)
    except ValueError as error:
        raise InvalidInput(f"--args is not valid JSON: {error}") from None
    if not isinstance(arguments, list):
        raise InvalidInput('--args must be a JSON list, such as ["first", 2]')
    return arguments


def _replay_message(session: Session, letter_id: int, body: bytes, force: bool) -> str:
    """Accept a corrected message in place of the unreadable one. Returns its queue."""
    from actors import broker
    from actors.plain_messages import PlainJson
    from aura.jobs.program import Malformed
    from aura.jobs.rabbitmq import messages
    from db import dead_letters

    queue = dead_letters.corrected(session, letter_id, force=force).key
    try:
        message = messages.read(queue, body, broker)
        if not isinstance(message, PlainJson):
            raise InvalidInput(f"the file holds a hint for {queue}, which needs no replay: see `aura jobs list`")
        message.accept(session, f"dead-letter:{letter_id}")
    except Malformed as error:
        raise InvalidInput(f"the corrected message is still unreadable for {queue}: {error}") from None
    return queue
