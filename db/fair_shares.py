"""Fair shares: finds the sources and requesters with due jobs, and marks due jobs of each as dispatched.

The share of a job is a number that is made of the source and the requester of its ticket. The index `ix_jobs_share` holds the
jobs of a source side by side, so one probe finds the next source or requester: the cost grows with the jobs that are
dispatched, not with the backlog. Share 0 belongs to jobs without a ticket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, bindparam, func, literal, select, true
from sqlalchemy.orm import Session

from db.hints import DUE, NOT_SUSPECT, Dispatched, dispatched_rows, mark
from db.models import Job
from db.statements import Prepared, in_subquery, on_postgresql, table

#: Bits of the requester's part of a share, and the part with all of them set.
REQUESTER_BITS = 32
_LAST_REQUESTER = (1 << REQUESTER_BITS) - 1
#: Most sources that one dispatch considers, and most requesters of each: a probe for each costs more than the next job.
SOURCES_LIMIT, REQUESTERS_LIMIT = 100, 200

_c = table(Job).c


def share_of(source: str, requester: str = "") -> int:
    """Return the share of a requester's tickets from a source; name a client or an account as a part of the source."""
    # 31 bits of the source: the column is a signed bigint
    return ((_hash(source) >> 1) << REQUESTER_BITS) | _hash(requester.strip().casefold())


def source_part(share: int) -> int:
    """Return the part of a share that stands for the source."""
    return share >> REQUESTER_BITS


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4, person=b"aura share")
    return int.from_bytes(digest.digest(), "big")


def waiting_sources(session: Session, actor: str, priority: int) -> list[int]:
    """Return the source parts with due jobs of this actor and priority, at most SOURCES_LIMIT of them."""
    rows = _SOURCES(session, whose=actor, place=priority, most=SOURCES_LIMIT)
    return [source_part(row.share) for row in rows if row.share is not None]


def dispatch_source(
    session: Session, actor: str, priority: int, source: int, limit: int, after: int = -1
) -> tuple[list[Dispatched], int]:
    """Mark at most `limit` due jobs of a source as dispatched, equally many of each requester, the longest due first.

    The requesters behind the share `after` come first. Returns the jobs, and the share behind which the next call begins.
    """
    first, last = source << REQUESTER_BITS, (source << REQUESTER_BITS) | _LAST_REQUESTER
    after, most = min(max(after, first - 1), last), min(limit, REQUESTERS_LIMIT)
    shares = _waiting_shares(session, actor, priority, after, last, most)
    if len(shares) < most and after >= first:
        shares += _waiting_shares(session, actor, priority, first - 1, after, most - len(shares))
    if not shares:
        return [], first - 1
    return _dispatch_shares(session, actor, priority, shares, limit), shares[-1]


def _first_share(after: ColumnElement[Any]) -> Any:
    """Return a SELECT of the first share behind another one that has a due job."""
    return select(_c.share).where(*DUE, *NOT_SUSPECT, _c.share > after).order_by(_c.share).limit(1)


def _sources(_session: Session) -> Any:
    start = _first_share(literal(-1, BigInteger)).scalar_subquery()
    found = select(start.label("share"), literal(1).label("place")).cte("found", recursive=True)
    # behind the last share that this source can have
    following = _first_share(found.c.share.bitwise_or(literal(_LAST_REQUESTER, BigInteger)))
    return _until_none(found, following)


def _shares(_session: Session) -> Any:
    last = bindparam("last", type_=BigInteger)
    start = _first_share(bindparam("after", type_=BigInteger)).where(_c.share <= last).scalar_subquery()
    found = select(start.label("share"), literal(1).label("place")).cte("found", recursive=True)
    return _until_none(found, _first_share(found.c.share).where(_c.share <= last))


def _until_none(found: Any, following: Any) -> Any:
    """Return a SELECT that repeats the probe `following` behind each share that it found, at most `most` times."""
    probe = following.correlate(found).scalar_subquery()
    more = select(probe, found.c.place + 1).where(found.c.share.is_not(None), found.c.place < bindparam("most"))
    return select(found.union_all(more).c.share)


_SOURCES = Prepared(_sources)
_SHARES = Prepared(_shares)


def _waiting_shares(session: Session, actor: str, priority: int, after: int, last: int, most: int) -> list[int]:
    rows = _SHARES(session, whose=actor, place=priority, after=after, last=last, most=most)
    return [row.share for row in rows if row.share is not None]


def _dispatch_shares(
    session: Session, actor: str, priority: int, shares: Sequence[int], limit: int
) -> list[Dispatched]:
    each = -(-limit // len(shares))
    if on_postgresql(session):
        found = _MARK(session, whose=actor, place=priority, shares=list(shares), each=each, limit=limit)
        return dispatched_rows(found)
    # SQLite has no LATERAL, and a statement costs it no round trip
    jobs: list[Dispatched] = []
    for share in shares:
        if (most := min(each, limit - len(jobs))) > 0:
            jobs += dispatched_rows(_MARK_ONE(session, whose=actor, place=priority, turn=share, limit=most))
    return jobs


def _oldest(share: ColumnElement[Any]) -> Any:
    # a range instead of an equality, so that the order needs the index of shares: by the index of due jobs, PostgreSQL would
    # read the jobs of all others first when its statistics say that most jobs have this share
    due = select(_c.id).where(*DUE, *NOT_SUSPECT, _c.share >= share, _c.share <= share)
    return due.order_by(_c.share, _c.due_at, _c.id)


def _mark(session: Session) -> Any:
    turns = func.unnest(bindparam("shares", type_=ARRAY(BigInteger))).table_valued("share", name="turns")
    turns = turns.render_derived()
    oldest = _oldest(turns.c.share).limit(bindparam("each")).correlate(turns).lateral("oldest")
    chosen = select(oldest.c.id).select_from(turns.join(oldest, true())).limit(bindparam("limit"))
    locked = select(_c.id).where(in_subquery(session, _c.id, chosen), *DUE).with_for_update(skip_locked=True)
    return mark(in_subquery(session, _c.id, locked))


def _mark_one(session: Session) -> Any:
    oldest = _oldest(bindparam("turn", type_=BigInteger)).limit(bindparam("limit"))
    return mark(in_subquery(session, _c.id, oldest))


_MARK = Prepared(_mark)
_MARK_ONE = Prepared(_mark_one)
