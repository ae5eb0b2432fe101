"""Ingests a mail: stores it, decides what it is, and makes it a ticket or a comment, in one transaction.

1. The mail is stored once. A Message-ID that was seen before with other content is another mail; a duplicate, also one that
   came another way, changes nothing.
2. Automatic mail, and mail beyond the limit of its sender, stays ignored, with the reason and the ticket that it answers.
3. A reply to a mail of Aura, or to a mail that became a ticket, is a comment on that ticket. The Message-ID proves that the
   sender received that mail; a number in a subject proves nothing, so it counts only for participants of the ticket.
4. Any other mail becomes a ticket, and its triage is enqueued in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from aura.ai.text.clean import clean_line
from aura.desk import ticket_actions
from aura.errors import Conflict, NotFound
from aura.mail.auto_replies import OWN_MAIL, Classification, Exceptions, classify_mail
from aura.mail.cc import remember_cc
from aura.mail.conversations import is_own_mail, own_address, own_name, ticket_of
from aura.mail.identity import store_mail
from aura.mail.parse import ParsedMail, parse_mail
from aura.mail.replies import reply_text
from aura.mail.requesters import Requester, original_requester, requester_of
from aura.mail.ticket_attachments import store_attachments
from aura.mail.unsubscribe import unsubscribed
from aura.settings import get_settings
from db import inbound_mails, tickets, transaction
from db.inbound_mails import IGNORED, REFUSED, SOURCE
from db.new_tickets import NewTicket
from db.tickets import MailOrigin
from pipelines.triage import triage

logger = structlog.get_logger("aura.mail")

#: Bytes of a too large mail that are stored: its headers.
HEAD = 64_000


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
        reason = f"{size:,} bytes, more than AURA_MAIL_LIMIT ({limit:,})"
        return _refuse(parse_mail(raw[:HEAD]), reason, complete=False)
    mail = parse_mail(raw)
    try:
        return _ingest(mail)
    except (OperationalError, InterfaceError):
        raise
    except SQLAlchemyError as error:
        logger.exception("mail rejected by the database", identity=mail.identity)
        return _refuse(mail, f"rejected by the database: {type(error).__name__}")


def ingest_batch(mails: Sequence[bytes]) -> list[IngestResult]:
    """Ingest mails, each smaller than AURA_MAIL_LIMIT, in one transaction, in order; an error rolls back all of them.

    The caller ingests them one by one then, so that one mail does not stop the others.
    """
    parsed = [parse_mail(raw) for raw in mails]
    with transaction():
        return [_ingest(mail) for mail in parsed]


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
        mail = parse_mail(stored.raw)
        ticket_id = ticket_of(session, mail)
        classified = _classify(mail, answers_us=ticket_id is not None)
        # a person decided that the mail is to be handled, but nobody that its sender is to be answered by a program
        reason = classified.no_auto_reply or classified.ignored or classified.automatic
        return _attach(session, mail, stored.id, stored.identity, ticket_id, reason)


def _ingest(mail: ParsedMail) -> IngestResult:
    with transaction() as session:
        stored, new = store_mail(session, mail)
        if not new:
            return IngestResult(stored.id, stored.outcome, stored.ticket_id, duplicate=True)
        ticket_id = ticket_of(session, mail)
        classified = _classify(mail, answers_us=ticket_id is not None)
        if reason := _reason_to_ignore(session, mail, classified, ticket_id):
            # a bounce belongs to the ticket whose notification bounced
            outcome = f"{IGNORED}{reason}"
            inbound_mails.save_outcome(session, stored.id, outcome, ticket_id)
            return IngestResult(stored.id, outcome, ticket_id)
        return _attach(session, mail, stored.id, stored.message_id, ticket_id, classified.no_auto_reply)


def _refuse(mail: ParsedMail, reason: str, complete: bool = True) -> IngestResult:
    with transaction() as session:
        stored, new = store_mail(session, mail, complete)
        if not new:
            return IngestResult(stored.id, stored.outcome, stored.ticket_id, duplicate=True)
        logger.warning("mail refused", mail=stored.id, reason=reason)
        inbound_mails.save_outcome(session, stored.id, f"{REFUSED}{reason}", None)
        return IngestResult(stored.id, f"{REFUSED}{reason}")


# -- ignored mail -----------------------------------------------------------------------------------------------------


def _classify(mail: ParsedMail, answers_us: bool) -> Classification:
    settings = get_settings()
    # a form is a program, and the person who filled it in is none
    exceptions = Exceptions(settings.mail_trusted_lists, (*settings.mail_partners, *settings.mail_forms))
    return classify_mail(mail, own_address(), exceptions, answers_us)


def _reason_to_ignore(session: Session, mail: ParsedMail, classified: Classification, ticket_id: int | None) -> str:
    if reason := unsubscribed(mail):
        return reason
    if is_own_mail(session, mail):
        return OWN_MAIL
    if classified.ignored:
        return classified.ignored
    if classified.automatic and ticket_id is not None:
        return classified.automatic
    limit = get_settings().mail_sender_limit
    if limit and inbound_mails.recent(session, mail.sender) > limit:  # the count includes this mail
        return f"more than {limit} mails of its sender within an hour (AURA_MAIL_SENDER_LIMIT)"
    return ""


# -- tickets and comments ---------------------------------------------------------------------------------------------


def _attach(
    session: Session, mail: ParsedMail, mail_id: int, identity: str, ticket_id: int | None, no_auto_reply: str
) -> IngestResult:
    """Make the mail a comment on the ticket that it answers or names, else a ticket."""
    state = inbound_mails.lock_ticket(session, ticket_id) if ticket_id is not None else None
    if state is not None and not _closed_for_replies(state):
        earlier = inbound_mails.texts_of_ticket(session, state.id)
        text = reply_text(mail, own_address(), earlier, own_name()) or mail.subject or "(no text)"
        ticket_actions.comment_by_mail(session, state.id, mail.sender or "(unknown)", text)
        remember_cc(session, mail, state.id)
        inbound_mails.save_outcome(session, mail_id, "comment", state.id)
        store_attachments(session, state.id, mail_id, mail)
        return IngestResult(mail_id, "comment", state.id)
    requester = _requester(session, mail)
    origin = MailOrigin(requester.name, requester.forwarded_by, no_auto_reply[:200])
    created = _create_ticket(session, mail, mail_id, identity, requester.address, origin, state.id if state else None)
    remember_cc(session, mail, created)
    inbound_mails.save_outcome(session, mail_id, "ticket", created)
    store_attachments(session, created, mail_id, mail)
    return IngestResult(mail_id, "ticket", created)


def _requester(session: Session, mail: ParsedMail) -> Requester:
    original = original_requester(mail, own_address())
    if original is not None and inbound_mails.is_agent(session, mail.sender):
        return original
    return requester_of(mail, get_settings().mail_forms)


def _closed_for_replies(state: inbound_mails.TicketStatus) -> bool:
    return state.status in tickets.RESOLVED and state.idle_seconds > get_settings().reopen_days * 86_400


def _create_ticket(
    session: Session,
    mail: ParsedMail,
    mail_id: int,
    identity: str,
    requester: str,
    origin: MailOrigin,
    follows: int | None,
) -> int:
    text = mail.text
    if follows is not None:
        text = f"(This follows ticket #{follows}, which is done.)\n\n{text}"
    ticket = NewTicket(
        title=mail.subject or clean_line(mail.text, 80) or "(empty mail)",
        description=text,
        requester=requester,
        external_id=identity,
    )
    payload = {"mail": mail_id, "from": mail.header("from"), "subject": mail.header("subject"), "follows": follows}
    [(ticket_id, new)] = tickets.create_each(session, SOURCE, [(ticket, payload)], [origin])
    if new:
        triage.send(ticket_id)
    return ticket_id
