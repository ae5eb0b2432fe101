"""Ingests a mail: stores it, decides what it is, and makes it a ticket or a comment, in one transaction.

1. The mail is stored once per Message-ID, or per content when it has none. A duplicate changes nothing.
2. Automatic mail, and mail beyond the limit of its sender, stays ignored, with the reason.
3. A reply to a mail of Aura, or to a mail that became a ticket, is a comment on that ticket. The Message-ID proves that the
   sender received that mail; a number in a subject proves nothing, so it counts only for participants of the ticket.
4. Any other mail becomes a ticket, and its triage is enqueued in the same transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from aura.ai.text.clean import clean_line
from aura.desk import ticket_actions
from aura.errors import Conflict, NotFound
from aura.mail import auto_replies
from aura.mail.parse import MAX_ID, ParsedMail, parse_mail
from aura.mail.replies import strip_quotes
from aura.mail.ticket_attachments import store_attachments
from aura.settings import get_settings
from db import inbound_mails, tickets, transaction
from db.inbound_mails import IGNORED, REFUSED
from db.new_tickets import NewTicket
from pipelines.triage import triage

logger = structlog.get_logger("aura.mail")

SOURCE = "email"
#: Bytes of a too large mail that are stored: its headers.
HEAD = 64_000
#: Ticket numbers of one mail that are looked up.
MAX_NUMBERS = 10

#: The identifiers of notifications that `aura.notifications.channels.email.mime` writes.
_NOTIFICATION_ID = re.compile(r"([0-9a-f]{32})@")
_CONVERSATION_ID = re.compile(r"ticket-(\d{1,18})@(.+)")
_SUBJECT_TAG = re.compile(r"\[(?:Aura )?#(\d{1,18})\]", re.IGNORECASE)
_REPLY_TO_NAME = re.compile(r"Aura #(\d{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The stored mail and its outcome: `ticket`, `comment`, `ignored: reason` or `refused: reason`."""

    id: int
    outcome: str
    ticket_id: int | None = None
    #: The same mail was ingested before; the outcome is the one it had then.
    duplicate: bool = False


class UnknownMail(NotFound):
    """There is no mail of this number."""


class NotPossible(Conflict):
    """The mail cannot be made a ticket; the message says why."""


def ingest_mail(raw: bytes, size: int | None = None) -> IngestResult:
    """Ingest a mail. Idempotent. Raises SQLAlchemyError when the database does not answer: offer the mail again.

    `size` is the size of the whole mail when `raw` is only its beginning. A mail that the database rejects is refused, and
    stored with the error.
    """
    limit = get_settings().mail_limit
    size = len(raw) if size is None else size
    if size > limit:
        return _refuse(parse_mail(raw[:HEAD]), f"{size:,} bytes, more than AURA_MAIL_LIMIT ({limit:,})")
    mail = parse_mail(raw)
    try:
        return _ingest(mail)
    except (OperationalError, InterfaceError):
        raise
    except SQLAlchemyError as error:
        logger.exception("mail rejected by the database", identity=mail.identity)
        return _refuse(mail, f"rejected by the database: {type(error).__name__}")


def create_from_ignored(mail_id: int) -> IngestResult:
    """Make an ignored mail a ticket or a comment, as a person decided. Raises UnknownMail, NotPossible."""
    with transaction() as session:
        stored = inbound_mails.lock_mail(session, mail_id)
        if stored is None:
            raise UnknownMail(f"there is no mail {mail_id}")
        if not stored.outcome.startswith(IGNORED):
            raise NotPossible(f"mail {mail_id} is not ignored: {stored.outcome}")
        if not stored.raw:
            raise NotPossible(f"the source of mail {mail_id} is deleted, AURA_MAIL_RETENTION_DAYS after its arrival")
        return _attach(session, parse_mail(stored.raw), stored.id, stored.identity)


def _ingest(mail: ParsedMail) -> IngestResult:
    with transaction() as session:
        stored, identity = _store(session, mail)
        if not stored.new:
            return IngestResult(stored.id, stored.outcome, stored.ticket_id, duplicate=True)
        if reason := _reason_to_ignore(session, mail):
            # a bounce belongs to the ticket whose notification bounced
            outcome, ticket_id = f"{IGNORED}{reason}", next(_answered(session, mail), None)
            inbound_mails.save_outcome(session, stored.id, outcome, ticket_id)
            return IngestResult(stored.id, outcome, ticket_id)
        return _attach(session, mail, stored.id, identity)


def _store(session: Session, mail: ParsedMail) -> tuple[inbound_mails.StoredMail, str]:
    """Store a mail. Returns its row and its identity."""
    identity = mail.identity
    stored = inbound_mails.store(session, identity, mail.sender, mail.raw, mail.attachments)
    if not stored.new and stored.sender != mail.sender:
        # the same Message-ID from another sender is another mail: a forged one must not suppress the real one
        identity = f"sha256:{hashlib.sha256(f'{identity} {mail.sender}'.encode()).hexdigest()}"
        stored = inbound_mails.store(session, identity, mail.sender, mail.raw, mail.attachments)
    return stored, identity


def _refuse(mail: ParsedMail, reason: str) -> IngestResult:
    with transaction() as session:
        stored, _ = _store(session, mail)
        if not stored.new:
            return IngestResult(stored.id, stored.outcome, stored.ticket_id, duplicate=True)
        logger.warning("mail refused", mail=stored.id, reason=reason)
        inbound_mails.save_outcome(session, stored.id, f"{REFUSED}{reason}", None)
        return IngestResult(stored.id, f"{REFUSED}{reason}")


def _reason_to_ignore(session: Session, mail: ParsedMail) -> str:
    if reason := auto_replies.automatic_reason(mail, _own_address()):
        return reason
    notification = _NOTIFICATION_ID.match(mail.message_id)
    if notification and inbound_mails.is_notification(session, notification[1]):
        return auto_replies.OWN_MAIL
    limit = get_settings().mail_sender_limit
    if limit and inbound_mails.recent(session, mail.sender) > limit:  # the count includes this mail
        return f"more than {limit} mails of its sender within an hour (AURA_MAIL_SENDER_LIMIT)"
    return ""


def _attach(session: Session, mail: ParsedMail, mail_id: int, identity: str) -> IngestResult:
    """Make the mail a comment on the ticket that it answers or names, else a ticket."""
    ticket_id = next(_answered(session, mail), None) or next(_named(session, mail), None)
    state = inbound_mails.lock_ticket(session, ticket_id) if ticket_id is not None else None
    if state is not None and not _closed_for_replies(state):
        text = strip_quotes(mail.text) or mail.subject or "(no text)"
        ticket_actions.comment_by_mail(session, state.id, mail.sender or "(unknown)", text)
        inbound_mails.save_outcome(session, mail_id, "comment", state.id)
        store_attachments(session, state.id, mail_id, mail)
        return IngestResult(mail_id, "comment", state.id)
    created = _create_ticket(session, mail, mail_id, identity, follows=state.id if state else None)
    inbound_mails.save_outcome(session, mail_id, "ticket", created)
    store_attachments(session, created, mail_id, mail)
    return IngestResult(mail_id, "ticket", created)


def _closed_for_replies(state: inbound_mails.TicketStatus) -> bool:
    return state.status in tickets.RESOLVED and state.idle_seconds > get_settings().reopen_days * 86_400


def _create_ticket(session: Session, mail: ParsedMail, mail_id: int, identity: str, follows: int | None) -> int:
    text = mail.text
    if follows is not None:
        text = f"(This follows ticket #{follows}, which is done.)\n\n{text}"
    ticket = NewTicket(
        title=mail.subject or clean_line(mail.text, 80) or "(empty mail)",
        description=text,
        requester=mail.sender,
        external_id=identity,
    )
    payload = {"mail": mail_id, "from": mail.header("from"), "subject": mail.header("subject"), "follows": follows}
    [(ticket_id, new)] = tickets.create_each(session, SOURCE, [(ticket, payload)])
    if new:
        triage.send(ticket_id)
    return ticket_id


# -- the ticket of a mail ---------------------------------------------------------------------------------------------


def _answered(session: Session, mail: ParsedMail) -> Iterator[int]:
    """Yield the tickets of the mails, sent or received by Aura, that this one answers, the nearest first."""
    notifications = {ref: match[1] for ref in mail.references if (match := _NOTIFICATION_ID.match(ref))}
    by_notification = inbound_mails.tickets_of_notifications(session, list(notifications.values()))
    by_mail = inbound_mails.tickets_of_mails(session, [ref for ref in mail.references if len(ref) <= MAX_ID])
    for ref in mail.references:
        ticket_id = by_notification.get(notifications.get(ref, "")) or by_mail.get(ref)
        if ticket_id is not None:
            yield ticket_id


def _named(session: Session, mail: ParsedMail) -> Iterator[int]:
    """Yield the tickets that this mail names and whose participant its sender is."""
    own = _own_address()
    domain = own.rpartition("@")[2]
    conversations = [
        match[1] for ref in mail.references if (match := _CONVERSATION_ID.fullmatch(ref)) and match[2].lower() == domain
    ]
    addressed = [
        match[1]
        for display_name, address in mail.recipients
        if address == own and (match := _REPLY_TO_NAME.fullmatch(display_name))
    ]
    numbers = [*conversations, *_SUBJECT_TAG.findall(mail.subject), *addressed]
    for number in list(dict.fromkeys(numbers))[:MAX_NUMBERS]:
        if inbound_mails.is_participant(session, int(number), mail.sender):
            yield int(number)


def _own_address() -> str:
    return parseaddr(get_settings().mail_from)[1].lower()
