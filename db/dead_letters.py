"""Dead letters: what was given up, until a person replays or discards it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.jobs import ERROR_LIMIT, Promise, promise
from db.models import DeadLetter
from db.time import now


class UnknownDeadLetter(LookupError):
    """There is no such dead letter, or it was replayed or discarded before."""


def record_message(session: Session, queue: str, raw: bytes, error: Exception) -> None:
    """Keep a message that could not be read: its bytes, its queue and the reason."""
    session.execute(
        insert(DeadLetter).values(
            actor="",
            key=queue,
            error_type=type(error).__name__,
            error=str(error)[:ERROR_LIMIT],
            fingerprint=hashlib.sha1(f"{queue}:{error}".encode(), usedforsecurity=False).hexdigest()[:12],
            raw=raw,
        )
    )


def listing(session: Session, state: str = "dead", limit: int = 100) -> Sequence[DeadLetter]:
    """Return the newest dead letters in a state: dead, replayed or discarded."""
    newest = select(DeadLetter).where(DeadLetter.state == state).order_by(DeadLetter.id.desc()).limit(limit)
    return session.scalars(newest).all()


def count(session: Session) -> int:
    """Return how many dead letters wait for a person."""
    return session.scalar(select(func.count()).where(DeadLetter.state == "dead")) or 0


def get(session: Session, letter_id: int) -> DeadLetter:
    """Return one dead letter. Raises UnknownDeadLetter."""
    letter = session.get(DeadLetter, letter_id) if 0 < letter_id < 2**63 else None
    if letter is None:
        raise UnknownDeadLetter(f"there is no dead letter {letter_id}; `aura dead list` shows those there are")
    return letter


def replay(session: Session, letter_id: int) -> DeadLetter:
    """Promise the job again with fresh attempts. Raises UnknownDeadLetter, also when it is not dead any more."""
    letter = _resolve(session, letter_id, "replayed", "")
    if not letter.actor:
        raise UnknownDeadLetter(
            f"dead letter {letter_id} is a message that could not be read; correct it and send it again"
        )
    again = Promise(letter.actor, letter.key, letter.args, letter.pipeline, tuple(letter.then), letter.priority)
    promise(session, [again])
    return letter


def discard(session: Session, letter_id: int, reason: str) -> DeadLetter:
    """Give the job up for good and keep the reason. Raises UnknownDeadLetter."""
    return _resolve(session, letter_id, "discarded", reason)


def _resolve(session: Session, letter_id: int, state: str, reason: str) -> DeadLetter:
    letter = get(session, letter_id)
    # guarded by the old state, so that two people cannot replay the same letter twice
    moved = session.execute(
        update(DeadLetter)
        .where(DeadLetter.id == letter_id, DeadLetter.state == "dead")
        .values(state=state, reason=reason, resolved_at=now())
        .returning(DeadLetter.id)
    ).all()
    if not moved:
        raise UnknownDeadLetter(f"dead letter {letter_id} was {letter.state} before")
    return letter
