"""Taking a mail: one transaction keeps its bytes, decides what it is, and makes it a ticket or a comment.

1. Keep it, once for each Message-ID, or content without one. Known before: nothing more happens.
2. A mail that no person wrote, or one too many of its sender, stays a row that says why (`aura intake list`).
3. A reply to a mail of ours, or to one that became a ticket, is a comment there. Its Message-ID proves that somebody got
   that mail; a number in a subject proves nothing, so it counts only from those who take part in the ticket.
4. Everything else is a ticket, and its journey is promised in the same transaction.
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
from aura.errors import Conflict
from aura.mail import auto_replies
from aura.mail.parse import LONGEST_ID, ParsedMail, read
from aura.mail.replies import trim
from aura.settings import get_settings
from db import inbound_mails, tickets, transaction
from db.inbound_mails import IGNORED, REFUSED
from db.new_tickets import NewTicket
from pipelines.triage import triage

logger = structlog.get_logger("aura.intake")

SOURCE = "email"
#: Bytes that are kept of a mail that is too large: its headers.
HEAD = 64_000

#: As in aura.notifications.channels.mime, for our own notices.
_NOTICE = re.compile(r"([0-9a-f]{32})@")
_CONVERSATION = re.compile(r"ticket-(\d{1,18})@(.+)")
_TAG = re.compile(r"\[(?:Aura )?#(\d{1,18})\]", re.IGNORECASE)
_NAMED = re.compile(r"Aura #(\d{1,18})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a mail: `ticket`, `comment`, `ignored: why` or `refused: why`."""

    id: int
    outcome: str
    ticket_id: int | None = None
    #: It was taken before, here or elsewhere.
    known: bool = False


class NotPossible(Conflict):
    """The mail cannot be made a ticket; the text says why and what to do."""


def ingest_mail(raw: bytes, size: int | None = None) -> IngestResult:
    """Store what a mail is, whatever it is; the same mail again changes nothing. Raises SQLAlchemyError.

    `size` is that of the whole mail when `raw` is only its beginning. Such an error is one of the whole database, and the
    mail must be offered again; what the database would not take of this one mail alone is refused, and a row says so.
    """
    limit = get_settings().mail_limit
    size = len(raw) if size is None else size
    if size > limit:
        why = f"it has {size:,} bytes, AURA_MAIL_LIMIT is {limit:,}"
        return _refuse(read(raw[:HEAD]), why)
    letter = read(raw)
    try:
        return _take(letter)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except SQLAlchemyError as error:
        logger.exception("a mail that the database would not take", identity=letter.identity)
        return _refuse(letter, f"the database would not take it: {type(error).__name__}")


def create_from_ignored(mail_id: int) -> IngestResult:
    """Make a mail that was ignored a ticket or a comment, as a person decided. Raises NotPossible."""
    with transaction() as session:
        found = inbound_mails.lock_mail(session, mail_id)
        if found is None:
            raise NotPossible(f"there is no mail {mail_id}; `aura intake list` shows those there are")
        if not found.outcome.startswith(IGNORED):
            raise NotPossible(f"mail {mail_id} is no ignored one: {found.outcome}")
        if not found.raw:
            raise NotPossible(f"the bytes of mail {mail_id} are gone: they are kept for AURA_MAIL_RETENTION_DAYS")
        return _place(session, read(found.raw), found.id, found.identity)


def _take(letter: ParsedMail) -> IngestResult:
    with transaction() as session:
        kept, identity = _keep(session, letter, letter.raw)
        if not kept.new:
            return IngestResult(kept.id, kept.outcome, kept.ticket_id, known=True)
        if why := _no_person(session, letter):
            # a bounce says something about the ticket whose notice bounced
            outcome, ticket_id = f"{IGNORED}{why}", next(_answered(session, letter), None)
            inbound_mails.save_outcome(session, kept.id, outcome, ticket_id)
            return IngestResult(kept.id, outcome, ticket_id)
        return _place(session, letter, kept.id, identity)


def _keep(session: Session, letter: ParsedMail, raw: bytes) -> tuple[inbound_mails.StoredMail, str]:
    identity = letter.identity
    kept = inbound_mails.store(session, identity, letter.sender, raw, letter.attachments)
    if not kept.new and kept.sender != letter.sender:
        # another sender's mail under the same Message-ID is another mail: nobody can take the place of one to come
        identity = f"sha256:{hashlib.sha256(f'{identity} {letter.sender}'.encode()).hexdigest()}"
        kept = inbound_mails.store(session, identity, letter.sender, raw, letter.attachments)
    return kept, identity


def _refuse(letter: ParsedMail, why: str) -> IngestResult:
    with transaction() as session:
        kept, _ = _keep(session, letter, letter.raw)
        if not kept.new:
            return IngestResult(kept.id, kept.outcome, kept.ticket_id, known=True)
        logger.warning("a mail is refused", mail=kept.id, why=why)
        inbound_mails.save_outcome(session, kept.id, f"{REFUSED}{why}", None)
        return IngestResult(kept.id, f"{REFUSED}{why}")


def _no_person(session: Session, letter: ParsedMail) -> str:
    if why := auto_replies.why(letter, _own_address()):
        return why
    ours = _NOTICE.match(letter.message_id)
    if ours and inbound_mails.is_notification(session, ours[1]):
        return "it is our own mail that came back"
    most = get_settings().mail_sender_limit
    if most and inbound_mails.recent(session, letter.sender) > most:  # this one is among them
        return f"its sender has sent more than {most} mails within an hour (AURA_MAIL_SENDER_LIMIT)"
    return ""


def _place(session: Session, letter: ParsedMail, mail_id: int, identity: str) -> IngestResult:
    ticket_id = next(_answered(session, letter), None) or next(_named(session, letter), None)
    state = inbound_mails.lock_ticket(session, ticket_id) if ticket_id is not None else None
    if state is not None and not _long_over(state):
        said = trim(letter.text) or letter.subject or "(no text)"
        ticket_actions.answer(session, state.id, letter.sender or "(unknown)", said)
        inbound_mails.save_outcome(session, mail_id, "comment", state.id)
        return IngestResult(mail_id, "comment", state.id)
    new = _ticket(session, letter, mail_id, identity, follows=state.id if state else None)
    inbound_mails.save_outcome(session, mail_id, "ticket", new)
    return IngestResult(mail_id, "ticket", new)


def _long_over(state: inbound_mails.TicketStatus) -> bool:
    return state.status in tickets.RESOLVED and state.idle_seconds > get_settings().reopen_days * 86_400


def _ticket(session: Session, letter: ParsedMail, mail_id: int, identity: str, follows: int | None) -> int:
    text = letter.text
    if follows is not None:
        text = f"(This follows ticket #{follows}, which is done.)\n\n{text}"
    submission = NewTicket(
        title=letter.subject or clean_line(letter.text, 80) or "(empty mail)",
        description=text,
        requester=letter.sender,
        external_id=identity,
    )
    payload = {"mail": mail_id, "from": letter.header("from"), "subject": letter.header("subject"), "follows": follows}
    [(ticket_id, new)] = tickets.create_each(session, SOURCE, [(submission, payload)])
    if new:
        triage.send(ticket_id)
    return ticket_id


# -- which ticket -----------------------------------------------------------------------------------------------------


def _answered(session: Session, letter: ParsedMail) -> Iterator[int]:
    """Return the tickets whose mails, by us or to us, this one answers, the nearest first."""
    notices = {ref: found[1] for ref in letter.references if (found := _NOTICE.match(ref))}
    by_notice = inbound_mails.tickets_of_notifications(session, list(notices.values()))
    by_mail = inbound_mails.tickets_of_mails(session, [ref for ref in letter.references if len(ref) <= LONGEST_ID])
    for ref in letter.references:
        ticket_id = by_notice.get(notices.get(ref, "")) or by_mail.get(ref)
        if ticket_id is not None:
            yield ticket_id


def _named(session: Session, letter: ParsedMail) -> Iterator[int]:
    """Return the tickets that this mail names, and whose it is the sender's to name."""
    own = _own_address()
    domain = own.rpartition("@")[2]
    numbers = [
        *(
            found[1]
            for ref in letter.references
            if (found := _CONVERSATION.fullmatch(ref)) and found[2].lower() == domain
        ),
        *_TAG.findall(letter.subject),
        *(found[1] for shown, address in letter.recipients if address == own and (found := _NAMED.fullmatch(shown))),
    ]
    for number in list(dict.fromkeys(numbers))[:10]:
        if inbound_mails.is_participant(session, int(number), letter.sender):
            yield int(number)


def _own_address() -> str:
    return parseaddr(get_settings().mail_from)[1].lower()
