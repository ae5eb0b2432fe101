"""Messages of which nobody knows whether they left, on channels where a repeat is worse than a question.

    promised --hold--> sending --keep--> sent
       ^                  |---give_back--> promised (it surely did not leave)
       |                  '---mark-------> unknown  (its worker died, or the answer never came)
       '------------- a person: `aura notices resend`, or `settle` when it has arrived

Every function takes the caller's session and commits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from db.models import Notification
from db.statements import table

_c = table(Notification).c


def mark_sending(session: Session, notification_id: str) -> bool:
    """Mark that it is about to be sent. Returns whether it was ours to mark: else somebody else is at it, or was."""
    return bool(_move(session, [notification_id], "enqueued", "sending"))


def mark_unsent(session: Session, notification_id: str) -> None:
    """Take the mark back: it is certain that it did not leave."""
    _move(session, [notification_id], "sending", "enqueued")


def mark_in_doubt(session: Session, notification_ids: Sequence[str]) -> list[str]:
    """Record that nobody knows whether these left. Returns those of which that is so."""
    return _move(session, notification_ids, "sending", "in_doubt")


def _move(session: Session, ids: Sequence[str], old: str, new: str) -> list[str]:
    moved = update(table(Notification)).where(_c.id.in_(ids), _c.state == old).values(state=new)
    return list(session.scalars(moved.returning(_c.id)))
