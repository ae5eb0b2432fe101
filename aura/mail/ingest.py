"""Ingests a mail: stores it, decides what it is, and makes it a ticket or a comment, in one transaction.

1. The mail is stored once. A Message-ID that was seen before with other content is another mail; a duplicate, also one that
   came another way, changes nothing.
2. Automatic mail, and mail beyond the limit of its sender, stays ignored, with the reason and the ticket that it answers.
3. A reply to a mail of Aura is a comment on its ticket, if its sender takes part in the ticket and the reply proves that they
   received that mail (`aura.mail.conversations`).
4. Any other mail becomes a ticket, and its triage is enqueued in the same transaction. A mail that names another ticket, or
   answers one without being allowed to comment, says so in its first line, and in the timeline of that ticket.
5. A sender whom our mail server did not verify (`aura.mail.authentication`) never comments, adds nobody in Cc and forwards for
   nobody; AURA_MAIL_DMARC_FAILED can refuse such mail altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.ai.text.clean import clean_line
from aura.desk import ticket_actions
from aura.errors import Conflict, NotFound
from aura.mail.authentication import Verification, verify_sender
from aura.mail.auto_replies import OWN_MAIL, Classification, Exceptions, classify_mail
from aura.mail.cc import remember_cc
from aura.mail.conversations import Answer, answer_of, is_own_mail, own_address, own_name
from aura.mail.identity import store_mail
from aura.mail.parse import ParsedMail, parse_mail
from aura.mail.replies import reply_text
from aura.mail.requesters import Requester, original_requester, requester_of
from aura.mail.ticket_attachments import store_attachments
from aura.mail.unsubscribe import unsubscribed
from aura.settings import get_settings
from db import inbound_mails, tickets, transaction
from db.fair_shares import share_of
from db.inbound_mails import IGNORED, REFUSED, REFUSED_SENDER, SOURCE, Reference
from db.new_tickets import NewTicket
from db.tickets import MailOrigin
from db.unavailable import is_unavailable
from pipelines.triage import triage

logger = structlog.get_logger("aura.mail")

#: Bytes of a too large mail that are stored: its headers.
HEAD = 64_000
#: Why a reply to a ticket is a new ticket after AURA_REOPEN_DAYS.
DONE = "it is done"


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The stored mail and its outcome: `ticket`, `comment`, `ignored: reason` or `refused: reason`."""

    id: int
    outcome: str
    ticket_id: int | None = None
    #: The same mail was ingested before; the outcome is the one it had then.
    duplicate: bool = False
    #: Why the mail is a ticket of its own, although it names or answers another one.
    note: str = ""


class UnknownMail(NotFound):
    """There is no mail of this number."""


class NotPossible(Conflict):
    """The mail cannot be made a ticket; the message says why."""


def ingest_mail(raw: bytes, size: int | None = None, *, needs_token: bool = True) -> IngestResult:
    """Ingest a mail. Idempotent. Raises SQLAlchemyError when the database does not answer: offer the mail again.

    `size` is the size of the whole mail when `raw` is only its beginning. Without `needs_token`, a reply needs no reply token,
    because an operator chose the mail. A mail that the database rejects is refused, and
    stored with the error.
    """
    limit = get_settings().mail_limit
    size = len(raw) if size is None else size
    if size > limit:
        reason = f"{size:,} bytes, more than AURA_MAIL_LIMIT ({limit:,})"
        return _refuse(parse_mail(raw[:HEAD]), reason, complete=False)
    mail = parse_mail(raw)
    try:
        return _ingest(mail, needs_token=needs_token)
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise
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
    """Make an ignored mail, or one of a sender who is not verified, a ticket or a comment, as a person decided.

    Raises UnknownMail, NotPossible.
    """
    with transaction() as session:
        stored = inbound_mails.lock_mail(session, mail_id)
        if stored is None:
            raise UnknownMail(f"there is no mail {mail_id}")
        if not stored.outcome.startswith((IGNORED, REFUSED_SENDER)):
            raise NotPossible(f"mail {mail_id} is not ignored: {stored.outcome}")
        if not stored.raw:
            raise NotPossible(f"the source of mail {mail_id} is deleted, AURA_MAIL_RETENTION_DAYS after its arrival")
        mail = parse_mail(stored.raw)
        verification = verify_sender(mail, get_settings().trusted_authserv)
        answer = answer_of(session, mail, verification.verified)
        classified = _classify(mail, answers_us=answer is not None and answer.proven)
        # a person decided that the mail is to be handled, but nobody that its sender is to be answered by a program
        reason = classified.no_auto_reply or classified.ignored or classified.automatic
        return _attach(session, _Mail(mail, stored.id, stored.identity, verification.verified), answer, reason)


def _ingest(mail: ParsedMail, *, needs_token: bool = True) -> IngestResult:
    with transaction() as session:
        stored, new = store_mail(session, mail)
        if not new:
            return IngestResult(stored.id, stored.outcome, stored.ticket_id, duplicate=True)
        verification = verify_sender(mail, get_settings().trusted_authserv)
        answer = answer_of(session, mail, verification.verified, needs_token=needs_token)
        proven = answer is not None and answer.proven
        classified = _classify(mail, answers_us=proven)
        reason = _reason_to_ignore(session, mail, classified, proven, verification)
        if reason or (reason := _reason_to_refuse(verification)):
            # a bounce belongs to the ticket whose notification bounced
            ticket_id = answer.ticket_id if answer is not None and proven else None
            inbound_mails.save_outcome(session, stored.id, reason, ticket_id, verification.verified)
            return IngestResult(stored.id, reason, ticket_id)
        known = _Mail(mail, stored.id, stored.message_id, verification.verified)
        return _attach(session, known, answer, classified.no_auto_reply)


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


def _reason_to_ignore(
    session: Session, mail: ParsedMail, classified: Classification, answers_us: bool, verification: Verification
) -> str:
    """Return the outcome of a mail that nobody reads; "" for any other mail."""
    if reason := unsubscribed(mail):
        return f"{IGNORED}{reason}"
    if is_own_mail(session, mail):
        return f"{IGNORED}{OWN_MAIL}"
    if classified.ignored:
        return f"{IGNORED}{classified.ignored}"
    if classified.automatic and answers_us:
        return f"{IGNORED}{classified.automatic}"
    limit = get_settings().mail_sender_limit
    without_forged = verification.verified is not False
    # the count includes this mail
    if limit and inbound_mails.recent(session, mail.sender, without_forged=without_forged) > limit:
        return f"{IGNORED}more than {limit} mails of its sender within an hour {inbound_mails.OVER_SENDER_LIMIT}"
    return ""


def _reason_to_refuse(verification: Verification) -> str:
    if verification.verified is not False or get_settings().mail_dmarc_failed != "refuse":
        return ""
    return f"{REFUSED_SENDER}{verification.reason} (AURA_MAIL_DMARC_FAILED)"


# -- tickets and comments ---------------------------------------------------------------------------------------------


class _Mail(NamedTuple):
    """A stored mail: its number, its identity, and whether its sender is verified."""

    parsed: ParsedMail
    id: int
    identity: str
    verified: bool | None


def _attach(session: Session, mail: _Mail, answer: Answer | None, no_auto_reply: str) -> IngestResult:
    """Make the mail a comment on the ticket that it answers, if it may be one, else a ticket."""
    state = inbound_mails.lock_ticket(session, answer.ticket_id) if answer is not None else None
    if answer is None or state is None:
        return _create_ticket(session, mail, no_auto_reply)
    if answer.refusal:
        return _create_ticket(session, mail, no_auto_reply, Reference(state.id, answer.refusal))
    if _closed_for_replies(state):
        return _create_ticket(session, mail, no_auto_reply, Reference(state.id, DONE))
    earlier = inbound_mails.texts_of_ticket(session, state.id)
    text = reply_text(mail.parsed, own_address(), earlier, own_name()) or mail.parsed.subject or "(no text)"
    number = ticket_actions.comment_by_mail(session, state.id, mail.parsed.sender, text)
    inbound_mails.save_comment_sender(session, number, mail.verified)
    remember_cc(session, mail.parsed, state.id)
    inbound_mails.save_outcome(session, mail.id, "comment", state.id, mail.verified)
    store_attachments(session, state.id, mail.id, mail.parsed)
    return IngestResult(mail.id, "comment", state.id)


def _requester(session: Session, mail: ParsedMail, verified: bool | None) -> Requester:
    original = original_requester(mail, own_address())
    if original is not None and verified is not False and inbound_mails.is_agent(session, mail.sender):
        return original
    return requester_of(mail, get_settings().mail_forms)


def _closed_for_replies(state: inbound_mails.TicketStatus) -> bool:
    return state.status in tickets.RESOLVED and state.idle_seconds > get_settings().reopen_days * 86_400


def _create_ticket(
    session: Session,
    mail: _Mail,
    no_auto_reply: str,
    reference: Reference = Reference(),  # noqa: B008  # a constant
) -> IngestResult:
    """Make the mail a ticket, with the ticket that it names or answers in its first line."""
    parsed = mail.parsed
    requester = _requester(session, parsed, mail.verified)
    # the mail server verified the sender, and not the person whom a form or an agent names
    verified = mail.verified if requester.address == parsed.sender or mail.verified is False else None
    ticket = NewTicket(
        title=parsed.subject or clean_line(parsed.text, 80) or "(empty mail)",
        description=_first_line(reference) + parsed.text,
        requester=requester.address,
        external_id=mail.identity,
    )
    named = {"follows": reference.ticket_id, "note": reference.note}
    payload = {"mail": mail.id, "from": parsed.header("from"), "subject": parsed.header("subject"), **named}
    origin = MailOrigin(requester.name, requester.forwarded_by, no_auto_reply[:200], verified)
    [(ticket_id, new)] = tickets.create_each(session, SOURCE, [(ticket, payload)], [origin])
    if new:
        triage.send(ticket_id, share_of(SOURCE, requester.address))
    if mail.verified is not False:
        remember_cc(session, parsed, ticket_id)
    inbound_mails.save_outcome(session, mail.id, "ticket", ticket_id, mail.verified, reference)
    store_attachments(session, ticket_id, mail.id, parsed)
    return IngestResult(mail.id, "ticket", ticket_id, note=reference.note or "")


def _first_line(reference: Reference) -> str:
    if reference.ticket_id is None:
        return ""
    if reference.note == DONE:
        return f"(This follows ticket #{reference.ticket_id}, which is done.)\n\n"
    return f"(This names ticket #{reference.ticket_id}, and is no comment there: {reference.note}.)\n\n"
