"""Cancelled deliveries: the notifications of cancelled jobs, and of those that are replayed.

The job of a delivery has the channel as its actor and the notification's id as its key; the job of a digest has the channel and
the recipient as its arguments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import case, update
from sqlalchemy.orm import Session

from db.models import Notification
from db.statements import table

_c = table(Notification).c
#: The actor of digests.
DIGEST = "digest"


def cancel_notifications(session: Session, jobs: Iterable[Any]) -> None:
    """Mark the notifications of cancelled jobs, rows with `actor`, `key` and `args`, as cancelled.

    One that was being delivered on a channel of at most one delivery becomes in doubt.
    """
    ids = defaultdict(list)
    for job in jobs:
        if job.actor == DIGEST and len(job.args) == 2:
            channel, recipient = job.args
            _move_delayed(session, channel, recipient, before="delayed", after="cancelled")
        elif not job.key.isdecimal():  # the key of a step is the number of a ticket
            ids[job.actor].append(job.key)
    for channel, keys in ids.items():
        open_ones = update(table(Notification)).where(
            _c.id.in_(keys), _c.channel == channel, _c.state.in_(("enqueued", "sending"))
        )
        session.execute(open_ones.values(state=case((_c.state == "sending", "in_doubt"), else_="cancelled")))


def restore_notifications(session: Session, actor: str, key: str, args: list[Any]) -> None:
    """Undo the cancellation of the notifications of a job that is replayed."""
    if actor == DIGEST and len(args) == 2:
        channel, recipient = args
        _move_delayed(session, channel, recipient, before="cancelled", after="delayed")
    elif not key.isdecimal():
        own = update(table(Notification)).where(_c.id == key, _c.channel == actor, _c.state == "cancelled")
        session.execute(own.values(state="enqueued"))


def _move_delayed(session: Session, channel: str, recipient: str, *, before: str, after: str) -> None:
    delayed = update(table(Notification)).where(
        _c.channel == channel, _c.recipient == recipient, _c.state == before, _c.delayed_until.is_not(None)
    )
    session.execute(delayed.values(state=after))
