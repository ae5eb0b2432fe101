"""Finds the ticket that a mail belongs to, and recognises Aura's own mails that come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.utils import parseaddr

from sqlalchemy.orm import Session

from aura.mail.parse import MAX_ID, ParsedMail
from aura.mail.replies import plain_subject
from aura.notifications.addresses import spellings
from aura.settings import get_settings
from db import inbound_mails

#: Ticket numbers of one mail that are looked up.
MAX_NUMBERS = 10

#: The identifiers of notifications that `aura.notifications.channels.email.mime` writes.
_NOTIFICATION_ID = re.compile(r"([0-9a-f]{32})@")
_CONVERSATION_ID = re.compile(r"ticket-(\d{1,18})@(.+)")
_SUBJECT_TAG = re.compile(r"\[(?:Aura )?#(\d{1,18})\]", re.IGNORECASE)
_OWN_HEADER = re.compile(r"notification ([0-9a-f]{32})\b")
_REPLY_TO_NAME = re.compile(r"Aura #(\d{1,18})", re.IGNORECASE)


def is_own_mail(session: Session, mail: ParsedMail) -> bool:
    """Return whether Aura sent the mail: it has the id of a notification, which nobody can guess."""
    own = [_NOTIFICATION_ID.match(mail.message_id), _OWN_HEADER.match(mail.header("x-aura") or "")]
    return any(match and inbound_mails.is_notification(session, match[1]) for match in own)


def ticket_of(session: Session, mail: ParsedMail) -> int | None:
    """Return the ticket that the mail answers, or names as a participant of it; None when it is about none."""
    return next(_answered(session, mail), None) or next(_named(session, mail), None)


def _answered(session: Session, mail: ParsedMail) -> Iterator[int]:
    """Yield the tickets of the mails, sent or received by Aura, that this one answers, the nearest first."""
    notifications = {ref: match[1] for ref in mail.references if (match := _NOTIFICATION_ID.match(ref))}
    by_notification = inbound_mails.tickets_of_notifications(session, list(notifications.values()))
    by_mail = inbound_mails.tickets_of_mails(session, [ref for ref in mail.references if len(ref) <= MAX_ID])
    for ref in mail.references:
        ticket_id = by_notification.get(notifications.get(ref, "")) or _nearest(session, mail, by_mail.get(ref, []))
        if ticket_id is not None:
            yield ticket_id


def _nearest(session: Session, mail: ParsedMail, found: Sequence[inbound_mails.TicketOfMail]) -> int | None:
    """Return the ticket that a mail answers, when several mails have the Message-ID: its sender's, of its subject.

    Without either it is the ticket of the first one, since only that mail's Message-ID was new.
    """
    if len({each.ticket_id for each in found}) > 1:
        subject = plain_subject(mail.subject)
        own = [each for each in found if _takes_part(session, each.ticket_id, mail.sender)]
        of_subject = [each for each in own or found if plain_subject(each.title) == subject]
        found = of_subject or own or found
    return found[0].ticket_id if found else None


def _named(session: Session, mail: ParsedMail) -> Iterator[int]:
    """Yield the tickets that this mail names and whose participant its sender is."""
    own = own_address()
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
        if _takes_part(session, int(number), mail.sender):
            yield int(number)


def _takes_part(session: Session, ticket_id: int, sender: str) -> bool:
    """Return whether the sender takes part in a ticket, with any spelling of the domain."""
    return any(inbound_mails.is_participant(session, ticket_id, each) for each in spellings(sender))


def own_address() -> str:
    """Return the address of MAIL_FROM, in lower case."""
    return parseaddr(get_settings().mail_from)[1].lower()


def own_name() -> str:
    """Return the display name of MAIL_FROM."""
    return parseaddr(get_settings().mail_from)[0]
