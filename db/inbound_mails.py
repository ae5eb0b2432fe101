"""Inbound mails, each stored once with its outcome, and the tickets that a mail can belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    String,
    Text,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from db.ids import is_id
from db.models import Agent, Comment, InboundMail, Notification, Ticket, TicketParticipant
from db.queue_stats import COUNT_LIMIT
from db.statements import Prepared, in_list, table, upsert
from db.time import elapsed, from_now, now

#: `source` of the tickets of mails.
SOURCE = "email"
#: The outcome of a new mail, and the prefixes of two final outcomes.
UNDECIDED, IGNORED, REFUSED = "undecided", "ignored: ", "refused: "
#: The outcome of a mail that AURA_MAIL_DMARC_FAILED refuses, before the reason. A person can make it a ticket.
REFUSED_SENDER = f"{REFUSED}sender not verified: "

#: The beginnings of an identity that is a digest, for a mail without a Message-ID that can be stored as it is.
DIGESTS = ("sha256:", "id-sha256:")

#: The prefixes of all final outcomes.
OUTCOMES = ("ticket", "comment", "ignored", "refused")
#: The end of the outcome of a mail whose sender sent too many.
OVER_SENDER_LIMIT = "(AURA_MAIL_SENDER_LIMIT)"

_m, _t, _n = table(InboundMail).c, table(Ticket).c, table(Notification).c
_p, _k = table(TicketParticipant).c, table(Comment).c


class NewMail(NamedTuple):
    """The columns of a mail to store; `message_id` is its identity."""

    message_id: str
    sender: str
    raw: bytes
    attachments: Sequence[Mapping[str, Any]] = ()
    content_digest: str = ""
    shared_id: str | None = None


class StoredMail(NamedTuple):
    """A stored mail."""

    id: int
    message_id: str
    outcome: str
    ticket_id: int | None
    sender: str
    content_digest: str


def insert_mail(session: Session, mail: NewMail) -> int | None:
    """Insert a mail as undecided. Returns its number, or None when there is one of this identity.

    A second transaction with the same identity waits for the first one.
    """
    # not a list, which would be an array
    row = mail._replace(attachments=tuple(mail.attachments))._asdict()
    new: int | None = _INSERT(session, **row).scalar()
    return new


def _insert(session: Session) -> Any:
    columns = {name: bindparam(name, type_=_m[name].type) for name in NewMail._fields}
    insert = upsert(session, InboundMail).values({**columns, "outcome": UNDECIDED, "created_at": now()})
    return insert.on_conflict_do_nothing(index_elements=["message_id"]).returning(_m.id)


_INSERT = Prepared(_insert)


def find_mail(session: Session, identity: str) -> StoredMail:
    """Return the mail of this identity, which exists."""
    query = select(*[_m[name] for name in StoredMail._fields]).where(_m.message_id == identity)
    return StoredMail(*session.execute(query).one())


def source_of(session: Session, mail_id: int) -> bytes:
    """Return the bytes of a mail; empty when its retention time has passed."""
    return session.scalar(select(_m.raw).where(_m.id == mail_id)) or b""


def replace_mail(session: Session, mail_id: int, mail: NewMail) -> None:
    """Store a refused mail that was offered again, as undecided."""
    values = {name: getattr(mail, name) for name in ("sender", "raw", "content_digest")}
    values |= {"attachments": list(mail.attachments), "outcome": UNDECIDED}
    session.execute(update(table(InboundMail)).where(_m.id == mail_id).values(values))


class Reference(NamedTuple):
    """The ticket that a mail names or answers without being a comment on it, and the reason."""

    ticket_id: int | None = None
    note: str | None = None


def save_outcome(
    session: Session,
    mail_id: int,
    outcome: str,
    ticket_id: int | None,
    verified: bool | None = None,
    reference: Reference = Reference(),  # noqa: B008  # a constant
) -> None:
    """Save the outcome of a mail, with its ticket."""
    named = {"new_refers_to": reference.ticket_id, "new_note": reference.note}
    values = {"new_outcome": outcome, "new_ticket": ticket_id, "new_verified": verified}
    _SAVE_OUTCOME(session, mail_id=mail_id, **values, **named)


_SAVE_OUTCOME = Prepared(
    lambda _session: (
        update(table(InboundMail))
        .where(_m.id == bindparam("mail_id", type_=BigInteger))
        .values(
            outcome=bindparam("new_outcome", type_=Text),
            ticket_id=bindparam("new_ticket", type_=BigInteger),
            sender_verified=bindparam("new_verified", type_=Boolean),
            refers_to=bindparam("new_refers_to", type_=BigInteger),
            note=bindparam("new_note", type_=Text),
        )
    )
)


def recent(session: Session, sender: str, seconds: float = 3600.0, without_forged: bool = False) -> int:
    """Return the number of mails of a sender within the last seconds.

    `without_forged` leaves out those of senders who are not verified: they must not use up the limit of the owner of the address.
    """
    return int(_RECENT(session, since=-seconds, address=sender, all_mails=not without_forged).scalar() or 0)


_RECENT = Prepared(
    lambda _session: (
        select(func.count())
        .select_from(table(InboundMail))
        .where(
            _m.sender == bindparam("address", type_=String),
            _m.created_at >= from_now(bindparam("since", type_=Float)),
            or_(bindparam("all_mails", type_=Boolean), _m.sender_verified.is_not(false())),
        )
    )
)


# -- the ticket of a mail -------------------------------------------------------------------------------------------------


def is_notification(session: Session, notification_id: str) -> bool:
    """Return whether the left side of a Message-ID is the id of a notification."""
    return bool(session.scalar(select(exists().where(_n.id == notification_id))))


class SentMail(NamedTuple):
    """A mail of Aura about a ticket."""

    ticket_id: int
    recipient: str


def sent_mails(session: Session, message_ids: Collection[str]) -> dict[str, SentMail]:
    """Return the mails of Aura about tickets by the Message-ID with which each was sent, without angle brackets."""
    wanted = {each.partition("@")[0]: each for each in message_ids}
    if not wanted:
        return {}
    columns = select(_n.id, _n.ticket_id, _n.recipient, _n.provider_id)
    rows = session.execute(columns.where(_n.id.in_(wanted), _n.channel == "email", _n.ticket_id.is_not(None)))
    return {
        wanted[row.id]: SentMail(row.ticket_id, row.recipient)
        for row in rows
        if row.provider_id == f"<{wanted[row.id]}>"
    }


class TicketOfMail(NamedTuple):
    """The ticket of a mail, with the subject and the sender of that mail."""

    ticket_id: int
    title: str
    sender: str


def tickets_of_mails(session: Session, identities: Collection[str]) -> dict[str, list[TicketOfMail]]:
    """Return the tickets of inbound mails that became a ticket or a comment, by Message-ID, the oldest mail first."""
    if not identities:
        return {}
    found = select(_m.message_id, _m.shared_id, _m.sender, _t.id, _t.title).join(Ticket, _t.id == _m.ticket_id)
    named = or_(_m.message_id.in_(identities), _m.shared_id.in_(identities))
    tickets: dict[str, list[TicketOfMail]] = {}
    for row in session.execute(found.where(named, _m.outcome.in_(("ticket", "comment"))).order_by(_m.id)):
        tickets.setdefault(row.shared_id or row.message_id, []).append(TicketOfMail(row.id, row.title, row.sender))
    return tickets


def is_agent(session: Session, address: str) -> bool:
    """Return whether the address is an agent's."""
    return bool(address) and bool(session.scalar(select(exists().where(func.lower(Agent.email) == address))))


class PeopleOfTicket(NamedTuple):
    """The requester of a ticket as it is stored, and the addresses of the people in Cc."""

    requester: str
    cc: tuple[str, ...]


def people_of_ticket(session: Session, ticket_id: int) -> PeopleOfTicket | None:
    """Return the people of a ticket; None when it does not exist."""
    row = session.execute(select(_t.requester).where(_t.id == ticket_id)).first() if is_id(ticket_id) else None
    if row is None:
        return None
    # people in Cc until they are removed
    present = select(_p.address).where(_p.ticket_id == ticket_id, _p.removed_at.is_(None))
    return PeopleOfTicket(row.requester, tuple(session.scalars(present)))


def agent_addresses(session: Session) -> list[str]:
    """Return the e-mail addresses of all agents."""
    return list(session.scalars(select(Agent.email).where(Agent.email != "")))


#: Mails of tickets that are read for the threads of one batch of deliveries.
THREAD_ROWS = 1_000


def save_comment_sender(session: Session, comment_id: int, verified: bool | None) -> None:
    """Save whether the author of a comment by mail is verified."""
    if verified is not None:
        session.execute(update(table(Comment)).where(_k.id == comment_id).values(sender_verified=verified))


class ThreadMail(NamedTuple):
    """A mail that became a ticket or a comment, with its sender and the requester of the ticket."""

    ticket_id: int
    message_id: str
    sender: str
    requester: str


def _of_threads(session: Session) -> Any:
    mails = (in_list(session, _m.ticket_id, "ids"), _m.outcome.in_(("ticket", "comment")))
    message_id = func.coalesce(_m.shared_id, _m.message_id).label("message_id")
    columns = select(_m.ticket_id, message_id, _m.sender, _t.requester).join(table(Ticket), _t.id == _m.ticket_id)
    return columns.where(*mails).order_by(_m.id.desc()).limit(THREAD_ROWS)


_OF_THREADS = Prepared(_of_threads)


def of_threads(session: Session, ticket_ids: Collection[int]) -> list[ThreadMail]:
    """Return the mails of these tickets, the oldest first."""
    rows = _OF_THREADS(session, ids=sorted(ticket_ids)) if ticket_ids else ()
    return [ThreadMail._make(row) for row in rows][::-1]


def texts_of_ticket(session: Session, ticket_id: int, limit: int = 20) -> list[str]:
    """Return the texts that a reply may quote: the ticket's description, its newest notifications and public comments."""
    notified = select(_n.body).where(_n.ticket_id == ticket_id).order_by(_n.created_at.desc()).limit(limit)
    public = (Comment.ticket_id == ticket_id, Comment.internal.is_(False))
    comments = select(Comment.text).where(*public).order_by(Comment.id.desc()).limit(limit)
    description = select(_t.description).where(_t.id == ticket_id)
    return [text for query in (description, notified, comments) for text in session.scalars(query)]


class TicketStatus(NamedTuple):
    """The status of a ticket."""

    id: int
    status: str
    #: Seconds since it was resolved, or else changed.
    idle_seconds: float


def lock_ticket(session: Session, ticket_id: int) -> TicketStatus | None:
    """Return the status of a ticket, locked until the transaction ends; None when it does not exist."""
    since = elapsed(func.coalesce(_t.resolved_at, _t.changed_at, _t.created_at))
    query = select(_t.id, _t.status, since.label("idle_seconds")).where(_t.id == ticket_id).with_for_update()
    row = session.execute(query).first() if 0 < ticket_id < 2**63 else None
    return TicketStatus(*row) if row else None


# -- administration --------------------------------------------------------------------------------------------------


def listing(session: Session, outcome: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest mails without their content; `outcome` is a prefix of their outcome."""
    names = (
        "id",
        "created_at",
        "sender",
        "sender_verified",
        "outcome",
        "ticket_id",
        "note",
        "message_id",
        "attachments",
    )
    shown = [_m[name] for name in names]
    query = select(*shown, func.length(_m.raw).label("bytes")).order_by(_m.id.desc()).limit(limit)
    if outcome is not None:
        query = query.where(_m.outcome.startswith(outcome, autoescape=True))
    return [dict(row) for row in session.execute(query).mappings()]


def outcomes(session: Session, seconds: float = 3600.0) -> dict[str, int]:
    """Return the number of mails of the last seconds by outcome: ticket, comment, ignored, refused."""
    recent = (
        select(_m.outcome)
        .where(_m.created_at >= from_now(-seconds))
        .order_by(_m.created_at)
        .limit(COUNT_LIMIT)
        .subquery()
    )
    kinds = (func.sum(case((recent.c.outcome.startswith(kind), 1), else_=0)) for kind in OUTCOMES)
    return dict(zip(OUTCOMES, (int(count or 0) for count in session.execute(select(*kinds)).one()), strict=True))


def over_sender_limit(session: Session, seconds: float = 3600.0) -> int:
    """Return the number of mails of the last seconds that were ignored because of AURA_MAIL_SENDER_LIMIT."""
    over = select(_m.id).where(_m.created_at >= from_now(-seconds), _m.outcome.endswith(OVER_SENDER_LIMIT))
    return int(session.scalar(select(func.count()).select_from(over.limit(COUNT_LIMIT).subquery())) or 0)


class MailContent(NamedTuple):
    """A mail with its content; empty when its retention time has passed."""

    id: int
    identity: str
    outcome: str
    raw: bytes


def lock_mail(session: Session, mail_id: int) -> MailContent | None:
    """Return a mail by its number, locked until the transaction ends; None when it does not exist."""
    query = select(_m.id, _m.message_id, _m.outcome, _m.raw).where(_m.id == mail_id).with_for_update()
    row = session.execute(query).first() if 0 < mail_id < 2**63 else None
    return MailContent(*row) if row else None
