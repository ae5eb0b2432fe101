"""Mails that came in: each kept once with what became of it, and the tickets that it may belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import case, exists, func, or_, select, update
from sqlalchemy.orm import Session

from db.ids import is_id
from db.models import Agent, Comment, InboundMail, Notification, Ticket
from db.queue_stats import COUNT_LIMIT
from db.statements import table, upsert
from db.time import elapsed, from_now, now

#: What a mail is before anybody decided, and how the other outcomes begin.
UNDECIDED, IGNORED, REFUSED = "undecided", "ignored: ", "refused: "

#: How every outcome begins.
OUTCOMES = ("ticket", "comment", "ignored", "refused")

_m, _t, _n = table(InboundMail).c, table(Ticket).c, table(Notification).c


class StoredMail(NamedTuple):
    """A mail's row; `new` says that this transaction is the one to decide what becomes of it."""

    id: int
    new: bool
    outcome: str
    ticket_id: int | None
    sender: str


def store(
    session: Session, identity: str, sender: str, raw: bytes, attachments: Sequence[Mapping[str, Any]] = ()
) -> StoredMail:
    """Insert a mail, or return what became of it before. One that was refused is tried anew.

    It waits for another process that is about to take the same mail, so two at once are one.
    """
    values = {"sender": sender, "raw": raw, "attachments": list(attachments), "outcome": UNDECIDED}
    insert = upsert(session, InboundMail).values(message_id=identity, created_at=now(), **values)
    new = session.scalar(insert.on_conflict_do_nothing(index_elements=["message_id"]).returning(_m.id))
    if new is not None:
        return StoredMail(new, True, UNDECIDED, None, sender)
    again = update(table(InboundMail)).where(_m.message_id == identity, _m.outcome.startswith(REFUSED)).values(**values)
    session.execute(again)
    wanted = select(_m.id, _m.outcome, _m.ticket_id, _m.sender).where(_m.message_id == identity)
    row = session.execute(wanted).one()
    return StoredMail(row.id, row.outcome == UNDECIDED, row.outcome, row.ticket_id, row.sender)


def settle(session: Session, mail_id: int, outcome: str, ticket_id: int | None) -> None:
    """Record what became of a mail."""
    session.execute(update(table(InboundMail)).where(_m.id == mail_id).values(outcome=outcome, ticket_id=ticket_id))


def recent(session: Session, sender: str, seconds: float = 3600.0) -> int:
    """Return how many mails of a sender came in lately."""
    theirs = (_m.created_at >= from_now(-seconds), _m.sender == sender)
    return session.scalar(select(func.count()).select_from(InboundMail).where(*theirs)) or 0


# -- which ticket -----------------------------------------------------------------------------------------------------


def is_own(session: Session, notification_id: str) -> bool:
    """Return whether a Message-ID's left side is that of a mail of ours."""
    return bool(session.scalar(select(exists().where(_n.id == notification_id))))


def of_notifications(session: Session, ids: Collection[str]) -> dict[str, int]:
    """Return the ticket of each notification, by its id."""
    rows = session.execute(select(_n.id, _n.ticket_id).where(_n.id.in_(ids), _n.ticket_id.is_not(None)))
    return {row.id: row.ticket_id for row in rows}


def of_mails(session: Session, identities: Collection[str]) -> dict[str, int]:
    """Return the ticket of each mail that became one, by its identity."""
    became = (_m.message_id.in_(identities), _m.ticket_id.is_not(None), _m.outcome.in_(("ticket", "comment")))
    return {
        row.message_id: row.ticket_id for row in session.execute(select(_m.message_id, _m.ticket_id).where(*became))
    }


def takes_part(session: Session, ticket_id: int, address: str) -> bool:
    """Return whether an address is the ticket's requester, its agent, somebody told of it, or an author of a comment."""
    if not address:
        return False
    asked = func.lower(_t.requester)
    # requesters may come as "Ann Lee <ann@example.com>"
    requester = or_(asked == address, asked.endswith(f"<{address}>", autoescape=True))
    agent = exists().where(Agent.name == _t.assignee, func.lower(Agent.email) == address)
    told = exists().where(_n.ticket_id == _t.id, _n.channel == "email", func.lower(_n.recipient) == address)
    author = exists().where(Comment.ticket_id == _t.id, func.lower(Comment.author) == address)
    return bool(session.scalar(select(exists().where(_t.id == ticket_id, or_(requester, agent, told, author)))))


class State(NamedTuple):
    """How a ticket stands."""

    id: int
    status: str
    #: Seconds since it was resolved; of one that is closed otherwise, since it was changed last.
    rested: float


def state(session: Session, ticket_id: int) -> State | None:
    """Return how a ticket stands, locked until the transaction ends; None when there is no such ticket."""
    since = elapsed(func.coalesce(_t.resolved_at, _t.changed_at, _t.created_at))
    wanted = select(_t.id, _t.status, since.label("rested")).where(_t.id == ticket_id).with_for_update()
    row = session.execute(wanted).first() if is_id(ticket_id) else None
    return State(*row) if row else None


# -- to look at -------------------------------------------------------------------------------------------------------


def listing(session: Session, outcome: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest mails without their bytes; `outcome` is how theirs begins."""
    shown = (_m.id, _m.created_at, _m.sender, _m.outcome, _m.ticket_id, _m.message_id, _m.attachments)
    wanted = select(*shown, func.length(_m.raw).label("bytes")).order_by(_m.id.desc()).limit(limit)
    if outcome is not None:
        wanted = wanted.where(_m.outcome.startswith(outcome, autoescape=True))
    return [dict(row) for row in session.execute(wanted).mappings()]


def outcomes(session: Session, seconds: float = 3600.0) -> dict[str, int]:
    """Return how many mails that came in lately became a ticket or a comment, or were ignored or refused."""
    recent = (
        select(_m.outcome)
        .where(_m.created_at >= from_now(-seconds))
        .order_by(_m.created_at)
        .limit(COUNT_LIMIT)
        .subquery()
    )
    kinds = (func.sum(case((recent.c.outcome.startswith(kind), 1), else_=0)) for kind in OUTCOMES)
    return dict(zip(OUTCOMES, (int(count or 0) for count in session.execute(select(*kinds)).one()), strict=True))


class Found(NamedTuple):
    """A mail with its bytes; none when they were pruned."""

    id: int
    identity: str
    outcome: str
    raw: bytes


def find(session: Session, mail_id: int) -> Found | None:
    """Return a mail by its number, locked until the transaction ends."""
    wanted = select(_m.id, _m.message_id, _m.outcome, _m.raw).where(_m.id == mail_id).with_for_update()
    row = session.execute(wanted).first() if is_id(mail_id) else None
    return Found(*row) if row else None
