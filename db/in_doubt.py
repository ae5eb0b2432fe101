"""Deliveries in doubt, on the channels where a person decides whether to resend a message.

    enqueued --mark_sending--> sending --mark_sent--------> sent
                                  |------unmark_sending---> enqueued  (the message was not sent)
                                  '------mark_in_doubt----> in_doubt  (the worker died, or the answer is missing)
    in_doubt --resend--> enqueued, or --settle--> sent: a person's decision, see `db.notifications`

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
    """Mark an enqueued notification as being sent. Returns False when another worker sends or has sent it."""
    return bool(_move(session, [notification_id], "enqueued", "sending"))


def unmark_sending(session: Session, notification_id: str) -> None:
    """Mark a notification that was certainly not sent as enqueued again."""
    _move(session, [notification_id], "sending", "enqueued")


def mark_in_doubt(session: Session, notification_ids: Sequence[str]) -> list[str]:
    """Mark these notifications as in doubt. Returns the ids of those that were being sent."""
    return _move(session, notification_ids, "sending", "in_doubt")


def _move(session: Session, ids: Sequence[str], old: str, new: str) -> list[str]:
    statement = update(table(Notification)).where(_c.id.in_(ids), _c.state == old).values(state=new)
    return list(session.scalars(statement.returning(_c.id)))
