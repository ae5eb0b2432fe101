"""What becomes of dead letters: `aura dead replay` promises the work again, `aura dead discard` gives it up for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aura.cli.database import acts, reads, warn_without_worker
from aura.cli.options import AlikeOption, FormatOption, ReasonOption, SinceOption
from aura.cli.output import Format, Refused, err, note, tell

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

OneOption = Annotated[int | None, typer.Argument(metavar="ID", help="One dead letter, from `aura dead list`.")]
AllOption = Annotated[bool, typer.Option("--all", help="All there are.")]
AtMostOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the oldest first.")]

#: Dead letters in one transaction of a bulk replay or discard.
BATCH = 500


def replay(
    letter_id: OneOption = None,
    fingerprint: AlikeOption = None,
    every: AllOption = False,
    since: SinceOption = None,
    limit: AtMostOption = None,
    args: Annotated[str | None, typer.Option(help="Other arguments for the one job, as a JSON list.")] = None,
    body: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The corrected message, as plain JSON.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also what was replayed too often, or discarded.")] = False,
    how: FormatOption = "table",
) -> None:
    """Promise the work again, with fresh attempts: of one dead letter, of all alike, or of all there are.

    Work that was replayed AURA_REPLAY_LIMIT times and died again is refused: mend the cause first. A message that could
    not be read is corrected on the way: aura dead export ID FILE, edit it, aura dead replay ID --body FILE
    """
    _one_choice(letter_id, fingerprint, every, since)
    if letter_id is None:
        if args is not None or body is not None:
            raise Refused("--args and --body correct one dead letter: name its number")
        _replay_many(fingerprint, since, limit, force, how)
        return
    with acts("dead_letter.replay", f"dead_letter/{letter_id}", force=force) as session:
        from db import dead_letters

        if body is not None:
            said = f"the message for {_accept(session, letter_id, body.read_bytes(), force)} is accepted"
        else:
            letter = dead_letters.replay(session, letter_id, args=_arguments(args), force=force)
            said = f"{letter.actor} {letter.key} is due again"
    if tell(how, {"replayed": 1}, said):
        warn_without_worker()


def _replay_many(fingerprint: str | None, since: datetime | None, limit: int | None, force: bool, how: Format) -> None:
    with reads() as session:
        from aura.settings import get_settings
        from db import dead_letters

        ids = dead_letters.replayable(session, fingerprint, limit, force=force, since=since)
        capped, unreadable = dead_letters.not_replayable(session, fingerprint, since)
        capped = 0 if force else capped
    done = _in_batches("replay", fingerprint, ids, dead_letters.replay_many)
    if not tell(how, {"replayed": done, "replayed_too_often": capped, "unreadable": unreadable}, f"{done} replayed"):
        return
    if capped:
        cap = get_settings().replay_limit
        note(f"{capped} left alone: replayed {cap} times before (AURA_REPLAY_LIMIT). Mend the cause, or --force.")
    if unreadable:
        note(f"{unreadable} left alone: messages that could not be read. Correct each: aura dead export ID FILE")
    if done:
        warn_without_worker()


def discard(
    reason: ReasonOption,
    letter_id: OneOption = None,
    fingerprint: AlikeOption = None,
    every: AllOption = False,
    since: SinceOption = None,
    limit: AtMostOption = None,
    how: FormatOption = "table",
) -> None:
    """Give work up for good: one dead letter, all alike, or all there are. The rows and your reason stay."""
    _one_choice(letter_id, fingerprint, every, since)
    if letter_id is not None:
        with acts("dead_letter.discard", f"dead_letter/{letter_id}", reason=reason) as session:
            from db import dead_letters

            dead_letters.discard(session, letter_id, reason)
        done, said = 1, f"dead letter {letter_id} is discarded"
    else:
        with reads() as session:
            from db import dead_letters

            ids = dead_letters.discardable(session, fingerprint, limit, since)

        def give_up(session: Session, some: Sequence[int]) -> int:
            return dead_letters.discard_many(session, some, reason)

        done = _in_batches("discard", fingerprint, ids, give_up, reason=reason)
        said = f"{done} discarded"
    tell(how, {"discarded": done}, said)


def _one_choice(letter_id: int | None, fingerprint: str | None, every: bool, since: datetime | None) -> None:
    if letter_id is not None and since is not None:
        raise Refused("--since chooses among many: leave the number out")
    if [letter_id is not None, fingerprint is not None, every].count(True) != 1:
        raise Refused("name one dead letter, or --fingerprint of those alike, or --all")


def _in_batches(
    what: str,
    fingerprint: str | None,
    ids: Sequence[int],
    step: Callable[[Session, Sequence[int]], int],
    **details: str,
) -> int:
    """Take the step with some hundred letters at a time, each a transaction; returns how many it moved."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(40), MofNCompleteColumn(), TimeRemainingColumn())
    done = 0
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=len(ids))
        subject = f"fingerprint/{fingerprint}" if fingerprint else "dead_letter"
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            with acts(f"dead_letter.{what}", subject, letters=len(batch), **details) as session:
                done += step(session, batch)
            bar.advance(task, len(batch))
    return done


def _arguments(text: str | None) -> list[Any] | None:
    from db.new_tickets import parse_json

    if text is None:
        return None
    try:
        found = parse_json(text)
    except ValueError as error:
        raise Refused(f"--args is no JSON: {error}") from None
    if not isinstance(found, list):
        raise Refused('--args must be a JSON list, such as ["first", 2]')
    return found


def _accept(session: Session, letter_id: int, body: bytes, force: bool) -> str:
    """Accept a corrected message in place of the dead one, and return its queue."""
    from actors import broker
    from actors.plain_messages import PlainJson
    from aura.jobs.program import Malformed
    from aura.jobs.rabbitmq import messages
    from db import dead_letters

    queue = dead_letters.corrected(session, letter_id, force=force).key
    try:
        message = messages.read(queue, body, broker)
        if not isinstance(message, PlainJson):
            raise Refused(f"this is a hint: its jobs are in `aura jobs list`, and it needs no replay ({queue})")
        message.accept(session, f"dead-letter:{letter_id}")
    except Malformed as error:
        raise Refused(f"{queue} cannot read it either: {error}") from None
    return queue
