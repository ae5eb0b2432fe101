"""Dead letters: what was given up, until a person replays or discards it.

    dead ----replay---> replayed (the job is promised again, with fresh attempts)
      |
      +-----discard---> discarded ----replay by force---> replayed

Every function takes the caller's session and commits nothing. A state moves by a guarded update, so that two people
cannot replay the same letter twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.orm import Session, defer

from aura.errors import Conflict, NotFound
from aura.settings import get_settings
from db.ids import is_id
from db.jobs import ERROR_LIMIT, NewJob, enqueue
from db.models import Attempt, DeadLetter, Job
from db.new_tickets import storable
from db.statements import table
from db.time import now

#: The columns that are told of every dead letter: all but the long ones.
LIGHT = [column for column in table(DeadLetter).c if column.name not in ("traceback", "raw")]


class UnknownDeadLetter(NotFound):
    """There is no such dead letter, or it was replayed or discarded before."""


class ReplayRefused(Conflict):
    """The dead letter cannot be replayed like this; the text says what to do."""


def record_message(session: Session, queue: str, raw: bytes, error: Exception) -> None:
    """Keep a message that could not be read: its bytes, its queue and the reason."""
    # what varies from message to message is no part of what kind of trouble it is
    kind = re.sub(r"'[^']*'|\d+", "?", str(error))
    session.execute(
        insert(DeadLetter).values(
            actor="",
            key=queue,
            error_type=type(error).__name__,
            error=storable(str(error))[:ERROR_LIMIT],
            fingerprint=_digest(f"{queue}:{kind}"),
            raw=raw,
        )
    )


def listing(
    session: Session,
    state: str = "dead",
    limit: int = 100,
    *,
    actor: str | None = None,
    fingerprint: str | None = None,
    since: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return the newest dead letters in a state (dead, replayed or discarded), without traceback and bytes."""
    newest = (
        select(*LIGHT).where(*_chosen(state, actor, fingerprint, since)).order_by(DeadLetter.id.desc()).limit(limit)
    )
    return [dict(row._mapping) for row in session.execute(newest)]


def history(session: Session, letter_id: int) -> dict[str, Any]:
    """Return all that is known of one dead letter, with every attempt at its job as far as the ledger is kept.

    Raises UnknownDeadLetter.
    """
    letter = get(session, letter_id)
    tried = (Attempt.number, Attempt.outcome, Attempt.error, Attempt.seconds, Attempt.worker, Attempt.created_at)
    ledger = select(*tried).where(Attempt.key == letter.key, Attempt.job_id == letter.job_id).order_by(Attempt.id)
    return {
        **{column.name: getattr(letter, column.name) for column in LIGHT},
        "ledger": [dict(row._mapping) for row in session.execute(ledger)],
        "traceback": letter.traceback,
        "raw": letter.raw,
    }


def groups(
    session: Session, state: str = "dead", limit: int = 100, since: datetime | None = None
) -> list[dict[str, Any]]:
    """Return the kinds of dead letters, the most frequent first, each with the newest one's number, key and error."""
    kind = (DeadLetter.fingerprint, DeadLetter.actor, DeadLetter.error_type)
    letters = func.count().label("letters")
    first, last = func.min(DeadLetter.created_at).label("first"), func.max(DeadLetter.created_at).label("last")
    found = session.execute(
        select(*kind, letters, first, last, func.max(DeadLetter.id).label("newest"))
        .where(*_chosen(state, None, None, since))
        .group_by(*kind)
        .order_by(letters.desc(), first)
        .limit(limit)
    ).all()
    newest = select(DeadLetter.id, DeadLetter.key, DeadLetter.error).where(
        DeadLetter.id.in_([row.newest for row in found])
    )
    example = {row.id: {"key": row.key, "error": row.error} for row in session.execute(newest)}
    return [dict(row._mapping) | example[row.newest] for row in found]


def count(session: Session, fingerprint: str | None = None) -> int:
    """Return how many dead letters wait for a person."""
    return session.scalar(select(func.count()).where(*_chosen("dead", None, fingerprint))) or 0


def get(session: Session, letter_id: int) -> DeadLetter:
    """Return one dead letter. Raises UnknownDeadLetter."""
    letter = session.get(DeadLetter, letter_id) if is_id(letter_id) else None
    if letter is None:
        raise UnknownDeadLetter(f"there is no dead letter {letter_id}; `aura dead list` shows those there are")
    return letter


def replay(session: Session, letter_id: int, *, args: list[Any] | None = None, force: bool = False) -> DeadLetter:
    """Promise the job again with fresh attempts, with other arguments if they are given.

    Raises UnknownDeadLetter, also when it is not dead any more, and ReplayRefused when it was replayed
    AURA_REPLAY_LIMIT times before. `force` replays it all the same, and one that was discarded too.
    """
    letter = get(session, letter_id)
    _must_be(letter, force=force)
    if not letter.actor:
        raise ReplayRefused(
            f"dead letter {letter_id} is a message that could not be read: "
            f"correct it and send it again, `aura dead replay {letter_id} --body FILE`"
        )
    limit = get_settings().replay_limit
    if letter.replays >= limit and not force:
        raise ReplayRefused(
            f"dead letter {letter_id} was replayed {letter.replays} times before, and AURA_REPLAY_LIMIT is {limit}: "
            f"see `aura dead show {letter_id}` and mend the cause, or replay it with --force"
        )
    changed = "" if args is None else storable(f"replayed with the arguments {json.dumps(args)}")[:ERROR_LIMIT]
    _resolve(session, letter, "replayed", changed, force=force)
    again = _promise(letter, args)
    enqueue(session, [again])
    if args is not None:
        _must_have_args(session, again)
    return letter


def replayable(
    session: Session,
    fingerprint: str | None = None,
    limit: int | None = None,
    *,
    force: bool = False,
    since: datetime | None = None,
) -> list[int]:
    """Return the dead letters that `replay_many` may take, the oldest first: readable, and not replayed too often."""
    fit = [DeadLetter.actor != ""] + ([] if force else [DeadLetter.replays < get_settings().replay_limit])
    return _ids(session, fingerprint, limit, since, *fit)


def replay_many(session: Session, ids: Collection[int]) -> int:
    """Replay those of the letters that are still dead and that nobody else replays just now. Returns how many.

    For one batch of some hundreds: it is one transaction, and its rows are locked until it ends.
    """
    chosen = select(DeadLetter).where(DeadLetter.id.in_(ids), DeadLetter.state == "dead", DeadLetter.actor != "")
    chosen = chosen.options(defer(DeadLetter.traceback), defer(DeadLetter.raw)).order_by(DeadLetter.id)
    letters = session.scalars(chosen.with_for_update(skip_locked=True)).all()
    enqueue(session, [_promise(letter) for letter in letters])
    return _move(session, [letter.id for letter in letters], "replayed", "")


def not_replayable(session: Session, fingerprint: str | None = None, since: datetime | None = None) -> tuple[int, int]:
    """Return how many dead letters were replayed too often, and how many are messages that could not be read."""
    capped = func.count().filter(DeadLetter.actor != "", DeadLetter.replays >= get_settings().replay_limit)
    row = session.execute(
        select(capped, func.count().filter(DeadLetter.actor == "")).where(*_chosen("dead", None, fingerprint, since))
    ).one()
    return row[0], row[1]


def corrected(session: Session, letter_id: int, *, force: bool = False) -> DeadLetter:
    """Resolve a message that could not be read: the caller accepts a corrected one in the same transaction.

    Raises UnknownDeadLetter, and ReplayRefused when it is no message.
    """
    letter = get(session, letter_id)
    _must_be(letter, force=force)
    if letter.actor:
        raise ReplayRefused(f"dead letter {letter_id} is a job, not a message: it takes --args, not --body")
    _resolve(session, letter, "replayed", "the message was corrected", force=force)
    return letter


def discard(session: Session, letter_id: int, reason: str) -> DeadLetter:
    """Give the job up for good and keep the reason. Raises UnknownDeadLetter."""
    letter = get(session, letter_id)
    _must_be(letter)
    _resolve(session, letter, "discarded", reason)
    return letter


def discardable(
    session: Session, fingerprint: str | None = None, limit: int | None = None, since: datetime | None = None
) -> list[int]:
    """Return the dead letters that `discard_many` may take, the oldest first."""
    return _ids(session, fingerprint, limit, since)


def discard_many(session: Session, ids: Collection[int], reason: str) -> int:
    """Discard those of the letters that are still dead. Returns how many."""
    return _move(session, ids, "discarded", reason)


def _ids(
    session: Session, fingerprint: str | None, limit: int | None, since: datetime | None, *fit: ColumnElement[bool]
) -> list[int]:
    oldest = select(DeadLetter.id).where(*_chosen("dead", None, fingerprint, since), *fit).order_by(DeadLetter.id)
    return list(session.scalars(oldest.limit(limit)))


def _chosen(
    state: str, actor: str | None, fingerprint: str | None, since: datetime | None = None
) -> list[ColumnElement[bool]]:
    chosen = [DeadLetter.state == state]
    if since is not None:
        chosen += [DeadLetter.created_at >= since]
    if actor is not None:
        chosen += [DeadLetter.actor == actor]
    if fingerprint is not None:
        chosen += [DeadLetter.fingerprint == fingerprint]
    return chosen


def _must_be(letter: DeadLetter, *, force: bool = False) -> None:
    if letter.state == "discarded" and not force:
        why = f" ({letter.reason})" if letter.reason else ""
        raise UnknownDeadLetter(
            f"dead letter {letter.id} was discarded before{why}; `aura dead replay {letter.id} --force` brings it back"
        )
    if letter.state not in ("dead", "discarded"):
        raise UnknownDeadLetter(f"dead letter {letter.id} was {letter.state} before")


def _resolve(session: Session, letter: DeadLetter, state: str, reason: str, *, force: bool = False) -> None:
    if not _move(session, [letter.id], state, reason, ("dead", "discarded") if force else ("dead",)):
        session.refresh(letter)  # somebody was faster
        _must_be(letter, force=force)


def _move(session: Session, ids: Collection[int], state: str, reason: str, allowed: Collection[str] = ("dead",)) -> int:
    moved = (
        update(DeadLetter)
        .where(DeadLetter.id.in_(ids), DeadLetter.state.in_(allowed))
        .values(state=state, reason=storable(reason)[:ERROR_LIMIT], resolved_at=now())
    )
    return len(session.execute(moved.returning(DeadLetter.id)).all())


def _promise(letter: DeadLetter, args: list[Any] | None = None) -> NewJob:
    return NewJob(
        letter.actor,
        letter.key,
        letter.args if args is None else args,
        letter.pipeline,
        tuple(letter.next_steps),
        letter.priority,
        replays=letter.replays + 1,
    )


def _must_have_args(session: Session, promised: NewJob) -> None:
    """Refuse when the same work was promised before, for then it keeps the arguments it had."""
    same = (Job.actor == promised.actor, Job.key == promised.key, Job.pipeline == promised.pipeline)
    job = session.execute(select(Job.id, Job.args).where(*same)).one()
    if job.args != promised.args:
        raise ReplayRefused(
            f"{promised.actor} {promised.key} is promised already, as job {job.id}, with other arguments: "
            f"cancel that one first, `aura jobs cancel {job.id}`"
        )


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:12]
