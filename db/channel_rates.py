"""Rate limits of channels, shared by all workers: one row holds the time of the channel's next turn (GCRA).

Two workers at the same moment get different turns, because each takes one in a single conditional statement.
"""

from __future__ import annotations

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from db.models import ChannelRate
from db.statements import table, upsert
from db.time import after, elapsed, from_now, now

_c = table(ChannelRate).c


def turn(session: Session, channel: str, rate: float, patience: float) -> tuple[bool, float]:
    """Take the channel's next turn, of `rate` a second, unless it is more than `patience` seconds away.

    Returns whether it was taken, and the seconds until it comes.
    """
    interval = 1.0 / rate
    starts = case((_c.free_at > now(), _c.free_at), else_=now())
    statement = (
        upsert(session, ChannelRate)
        .values(channel=channel, free_at=from_now(interval))
        .on_conflict_do_update(
            index_elements=["channel"],
            set_={"free_at": after(starts, interval)},
            where=_c.free_at <= from_now(patience),
        )
        .returning(elapsed(_c.free_at))
    )
    since = session.scalar(statement)
    if since is not None:
        return True, max(-since - interval, 0.0)
    since = session.scalar(select(elapsed(_c.free_at)).where(_c.channel == channel))
    return False, max(-(since or 0.0), 0.0)
