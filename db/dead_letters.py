"""Dead letters: jobs and messages that failed finally, until a person replays or discards them.

    dead ----replay---> replayed (the job is enqueued again, with fresh attempts)
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

from sqlalchemy import ColumnElement, LargeBinary, func, insert, select, update
from sqlalchemy.orm import Session, defer

from aura.errors import Conflict, NotFound
from aura.settings import get_settings
from db.cancellation import restore_notifications
from db.ids import is_id
from db.jobs import ERROR_LIMIT, NewJob, enqueue
from db.models import Attempt, DeadLetter, Job
from db.statements import table
from db.text import storable
from db.time import now

#: The columns of a list of dead letters: all but the long ones.
LIGHT = [column for column in table(DeadLetter).c if column.name not in ("traceback", "raw")]


#: The fingerprint of cancelled jobs.
CANCELLED = "cancelled"
#: Bytes that are stored and shown of a message. Earlier versions stored messages of any size.
RAW_LIMIT = 1_000_000


class UnknownDeadLetter(NotFound):
    """There is no such dead letter, or it was replayed or discarded before."""


class ReplayRefused(Conflict):
    """The dead letter cannot be replayed like this; the message names the remedy."""


def record_message(session: Session, queue: str, raw: bytes, error: Exception) -> None:
    """Store a message that could not be read: its bytes, up to RAW_LIMIT, its queue and the reason."""
    # values that differ from message to message are no part of the fingerprint
    kind = re.sub(r"'[^']*'|\d+", "?", str(error))
    session.execute(
        insert(DeadLetter).values(
            actor="",
            key=queue,
            error_type=type(error).__name__,
            error=storable(str(error))[:ERROR_LIMIT],
            fingerprint=_digest(f"{queue}:{kind}"),
            raw=raw[:RAW_LIMIT],
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


def history(session: Session, letter_id: int, raw_limit: int = RAW_LIMIT) -> dict[str, Any]:
    """Return one dead letter with every attempt at its job that is still recorded, and the first bytes of its message.

    Raises UnknownDeadLetter.
    """
    letter = get(session, letter_id)
    raw, size = shown(session, letter_id, raw_limit)
    tried = (Attempt.number, Attempt.outcome, Attempt.error, Attempt.seconds, Attempt.worker, Attempt.created_at)
    ledger = select(*tried).where(Attempt.key == letter.key, Attempt.job_id == letter.job_id).order_by(Attempt.id)
    return {
        **{column.name: getattr(letter, column.name) for column in LIGHT},
        "ledger": [dict(row._mapping) for row in session.execute(ledger)],
        "traceback": letter.traceback,
        "raw": raw,
        "raw_size": size,
    }


def groups(
    session: Session, state: str = "dead", limit: int = 100, since: datetime | None = None
) -> list[dict[str, Any]]:
    """Return the groups of one fingerprint, largest first, each with the id, key and error of its newest letter."""
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
    """Return the number of letters in the state `dead`."""
    return session.scalar(select(func.count()).where(*_chosen("dead", None, fingerprint))) or 0


def get(session: Session, letter_id: int) -> DeadLetter:
    """Return one dead letter. Raises UnknownDeadLetter."""
    # a message may be large, and is loaded when it is read
    without_raw = [defer(DeadLetter.raw)]
    letter = session.get(DeadLetter, letter_id, options=without_raw) if is_id(letter_id) else None
    if letter is None:
        raise UnknownDeadLetter(f"there is no dead letter {letter_id}")
    return letter


def shown(session: Session, letter_id: int, limit: int) -> tuple[bytes | None, int | None]:
    """Return the first bytes of the message of a dead letter, and the number of its bytes; None for a job."""
    first = func.substr(DeadLetter.raw, 1, limit, type_=LargeBinary).label("first")
    row = session.execute(
        select(first, func.length(DeadLetter.raw).label("size")).where(DeadLetter.id == letter_id)
    ).one()
    return (row.first if row.size else None if row.size is None else b""), row.size


def replay(session: Session, letter_id: int, *, args: list[Any] | None = None, force: bool = False) -> DeadLetter:
    """Enqueue the job again with fresh attempts, with other arguments if they are given.

    Raises UnknownDeadLetter, also when it is resolved, and ReplayRefused when it was replayed AURA_REPLAY_LIMIT times
    before. `force` replays it all the same, and a discarded one too.
    """
    letter = get(session, letter_id)
    _must_be(letter, force=force)
    if not letter.actor:
        raise ReplayRefused(
            f"dead letter {letter_id} is a message that could not be read: replay it with a corrected body"
        )
    limit = get_settings().replay_limit
    if letter.replays >= limit and not force:
        raise ReplayRefused(
            f"dead letter {letter_id} was replayed {letter.replays} times before, and AURA_REPLAY_LIMIT is {limit}: "
            "fix the cause first, or force the replay"
        )
    changed = "" if args is None else storable(f"replayed with the arguments {json.dumps(args)}")[:ERROR_LIMIT]
    _resolve(session, letter, "replayed", changed, force=force)
    job = _new_job(letter, args)
    enqueue(session, [job])
    if letter.fingerprint == CANCELLED:
        restore_notifications(session, letter.actor, letter.key, letter.args)
    if args is not None:
        _must_have_args(session, job)
    return letter


def replayable(
    session: Session,
    fingerprint: str | None = None,
    limit: int | None = None,
    *,
    force: bool = False,
    since: datetime | None = None,
) -> list[int]:
    """Return the ids for `replay_many`, oldest first: jobs that were not replayed too often."""
    fit = [DeadLetter.actor != ""] + ([] if force else [DeadLetter.replays < get_settings().replay_limit])
    return _ids(session, fingerprint, limit, since, *fit)


def replay_many(session: Session, ids: Collection[int]) -> int:
    """Replay those letters that are still dead and not locked by another replay. Returns their number.

    Meant for some hundreds: it is one transaction, and its rows are locked until it ends.
    """
    chosen = select(DeadLetter).where(DeadLetter.id.in_(ids), DeadLetter.state == "dead", DeadLetter.actor != "")
    chosen = chosen.options(defer(DeadLetter.traceback), defer(DeadLetter.raw)).order_by(DeadLetter.id)
    letters = session.scalars(chosen.with_for_update(skip_locked=True)).all()
    enqueue(session, [_new_job(letter) for letter in letters])
    return _move(session, [letter.id for letter in letters], "replayed", "")


def not_replayable(session: Session, fingerprint: str | None = None, since: datetime | None = None) -> tuple[int, int]:
    """Return the numbers of dead letters that were replayed too often, and of messages that could not be read."""
    capped = func.count().filter(DeadLetter.actor != "", DeadLetter.replays >= get_settings().replay_limit)
    row = session.execute(
        select(capped, func.count().filter(DeadLetter.actor == "")).where(*_chosen("dead", None, fingerprint, since))
    ).one()
    return row[0], row[1]


def corrected(session: Session, letter_id: int, *, force: bool = False) -> DeadLetter:
    """Resolve a message that could not be read; the caller accepts the corrected one in the same transaction.

    Raises UnknownDeadLetter, and ReplayRefused when it is no message.
    """
    letter = get(session, letter_id)
    _must_be(letter, force=force)
    if letter.actor:
        raise ReplayRefused(f"dead letter {letter_id} is a job, not a message: it takes other arguments, not a body")
    _resolve(session, letter, "replayed", "the message was corrected", force=force)
    return letter


def discard(session: Session, letter_id: int, reason: str) -> DeadLetter:
    """Mark the letter as discarded, with the reason. Raises UnknownDeadLetter."""
    letter = get(session, letter_id)
    _must_be(letter)
    _resolve(session, letter, "discarded", reason)
    return letter


def discardable(
    session: Session, fingerprint: str | None = None, limit: int | None = None, since: datetime | None = None
) -> list[int]:
    """Return the ids for `discard_many`, oldest first."""
    return _ids(session, fingerprint, limit, since)


def discard_many(session: Session, ids: Collection[int], reason: str) -> int:
    """Discard those letters that are still dead. Returns their number."""
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
        raise UnknownDeadLetter(f"dead letter {letter.id} was discarded before{why}; only a forced replay enqueues it")
    if letter.state not in ("dead", "discarded"):
        raise UnknownDeadLetter(f"dead letter {letter.id} was {letter.state} before")


def _resolve(session: Session, letter: DeadLetter, state: str, reason: str, *, force: bool = False) -> None:
    if not _move(session, [letter.id], state, reason, ("dead", "discarded") if force else ("dead",)):
        session.refresh(letter)  # it was resolved meanwhile
        _must_be(letter, force=force)


def _move(session: Session, ids: Collection[int], state: str, reason: str, allowed: Collection[str] = ("dead",)) -> int:
    moved = (
        update(DeadLetter)
        .where(DeadLetter.id.in_(ids), DeadLetter.state.in_(allowed))
        .values(state=state, reason=storable(reason)[:ERROR_LIMIT], resolved_at=now())
    )
    return len(session.execute(moved.returning(DeadLetter.id)).all())


def _new_job(letter: DeadLetter, args: list[Any] | None = None) -> NewJob:
    return NewJob(
        letter.actor,
        letter.key,
        letter.args if args is None else args,
        letter.pipeline,
        tuple(letter.next_steps),
        letter.priority,
        replays=letter.replays + 1,
    )


def _must_have_args(session: Session, new: NewJob) -> None:
    """Refuse when the same job is enqueued already, for it keeps its arguments."""
    same = (Job.actor == new.actor, Job.key == new.key, Job.pipeline == new.pipeline)
    job = session.execute(select(Job.id, Job.args).where(*same)).one()
    if job.args != new.args:
        raise ReplayRefused(
            f"{new.actor} {new.key} is enqueued already, as job {job.id}, with other arguments: cancel that job first"
        )


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:12]
