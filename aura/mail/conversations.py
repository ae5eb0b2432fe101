"""Finds the ticket that a mail belongs to, decides whether it may be a comment there, and recognises Aura's own mails.

A mail is a comment if its sender takes part in the ticket (requester, in Cc, or an agent) and it carries a reply token, which
only mails of Aura contain. A token is a proof for its owner, and for people who may do no more than its owner: a requester may
answer with the token of a requester or an agent, an agent with that of an agent or the team alone. A verified sender, whose
address nobody forged, may use the token of any of them. A number in a subject, or the Message-ID of a mail that others
received, proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from functools import cached_property

from sqlalchemy.orm import Session

from aura.mail.parse import MAX_ID, ParsedMail
from aura.mail.replies import plain_subject
from aura.notifications.addresses import comparable
from aura.notifications.recipients import mail_address
from aura.notifications.reply_tokens import find_token, owners, plus_part
from aura.settings import get_settings
from db import inbound_mails, signing_keys

#: Tickets of one mail that are looked up, and its different tokens; all mails to a recipient about a ticket have the same one.
MAX_TICKETS, MAX_TOKENS = 10, 20
#: Recipients of one mail among which plus addresses are searched.
MAX_RECIPIENTS = 200

#: The identifiers of notifications that `aura.notifications.channels.email.mime` writes, with their tokens.
_NOTIFICATION_ID = re.compile(r"([0-9a-f]{32})(?:\.([0-9a-z-]{1,60}))?@", re.IGNORECASE)
_CONVERSATION_ID = re.compile(r"ticket-(\d{1,18}(?:-[a-z2-7]{24})?)@(.+)", re.IGNORECASE)
_SUBJECT_TAG = re.compile(r"\[(?:Aura )?#(\d{1,18})\]", re.IGNORECASE)
_OWN_HEADER = re.compile(r"notification ([0-9a-f]{32})\b")
_REPLY_TO_NAME = re.compile(r"Aura #(\d{1,18})", re.IGNORECASE)
#: Headers with the address to which the mail was delivered.
_DELIVERED = ("delivered-to", "x-original-to", "envelope-to", "x-delivered-to")
_ADDRESS = re.compile(r"[^\s<>,;:\"]{1,64}@[^\s<>,;:\"]{1,253}")

NOT_VERIFIED = "its sender is not verified"
STRANGER = "its sender is neither the requester nor in Cc nor an agent"
NO_TOKEN = "it contains no reply token"
OTHER_TOKEN = "its reply token belongs to somebody else"

#: What people of a ticket may do, in rising order.
CC, REQUESTER, AGENT = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Answer:
    """The ticket that a mail answers or names, and the reason why it is no comment there; "" if it is one."""

    ticket_id: int
    refusal: str = ""
    #: The mail has a genuine token of the ticket, or its sender takes part in it.
    proven: bool = False


def is_own_mail(session: Session, mail: ParsedMail) -> bool:
    """Return whether Aura sent the mail: it has the id of a notification, which nobody can guess."""
    own = [_NOTIFICATION_ID.match(mail.message_id), _OWN_HEADER.match(mail.header("x-aura") or "")]
    return any(match and inbound_mails.is_notification(session, match[1]) for match in own)


def answer_of(session: Session, mail: ParsedMail, verified: bool | None, *, needs_token: bool = True) -> Answer | None:
    """Return the ticket that the mail answers or names; None when it is about none.

    The first ticket on which it may be a comment counts, then the first that exists. `verified` is that of its sender.
    """
    needs_token = needs_token and get_settings().mail_reply_token == "required"
    reading = _Reading(session, mail, verified, needs_token)
    answers = [answer for ticket_id in reading.tickets() if (answer := reading.answer(ticket_id)) is not None]
    return next((each for each in answers if not each.refusal), next(iter(answers), None))


class _Reading:
    """The proofs in one mail."""

    def __init__(self, session: Session, mail: ParsedMail, verified: bool | None, needs_token: bool) -> None:
        self._session, self._mail, self._verified, self._needs_token = session, mail, verified, needs_token
        self._sender = comparable(mail.sender)
        notifications = [match for ref in mail.references if (match := _NOTIFICATION_ID.match(ref))]
        conversations = [match for ref in mail.references if (match := _CONVERSATION_ID.fullmatch(ref))]
        written = [
            *_plus_parts(mail),
            *(match[2] or "" for match in notifications),
            *(match[1] for match in conversations),
        ]
        found = dict.fromkeys(token for each in written if (token := find_token(each)) is not None)
        self.tokens = list(found)[:MAX_TOKENS]
        without = [ref for ref in mail.references if (match := _NOTIFICATION_ID.match(ref)) and not match[2]]
        #: Mails that versions without tokens sent; their Message-ID is as hard to guess.
        self._earlier = inbound_mails.sent_mails(session, without)
        domain = own_address().rpartition("@")[2]
        self._numbers = [each[1] for each in conversations if each[1].isdecimal() and each[2].lower() == domain]

    @cached_property
    def _key(self) -> bytes:
        return signing_keys.get(self._session, signing_keys.REPLY)

    def tickets(self) -> list[int]:
        """Return the tickets that the mail may be about, those with a proof first, then those that it answers or names."""
        proven = [*(each.ticket_id for each in self.tokens), *(each.ticket_id for each in self._earlier.values())]
        return list(dict.fromkeys([*proven, *self._answered(), *self._named()]))[:MAX_TICKETS]

    def answer(self, ticket_id: int) -> Answer | None:
        """Return whether the mail is a comment on the ticket; None when the ticket does not exist."""
        people = inbound_mails.people_of_ticket(self._session, ticket_id)
        if people is None:
            return None
        may = self._rights(people)
        rank = may.get(self._sender, 0) if self._sender else 0
        own, best = self._proof(ticket_id, may)
        proven = bool(rank or best)
        if self._verified is False:
            return Answer(ticket_id, NOT_VERIFIED, proven)
        if not rank:
            return Answer(ticket_id, STRANGER, proven)
        if own or best >= rank or (best and self._verified):
            return Answer(ticket_id, "", proven)
        if best:
            return Answer(ticket_id, OTHER_TOKEN, proven)
        return Answer(ticket_id, NO_TOKEN if self._needs_token else "", proven)

    def _rights(self, people: inbound_mails.PeopleOfTicket) -> dict[str, int]:
        """Return what each person of the ticket may do; a requester who is an agent is a requester here."""
        requester = mail_address(people.requester)
        ranked = [(AGENT, each) for each in inbound_mails.agent_addresses(self._session)]
        ranked = [*((CC, each) for each in people.cc), *ranked, (REQUESTER, requester)]
        return {comparable(address): rank for rank, address in ranked if address}

    def _proof(self, ticket_id: int, may: dict[str, int]) -> tuple[bool, int]:
        """Return whether the sender owns a token of the ticket, and the rights of its most powerful owner."""
        team = comparable(get_settings().service_desk)
        known = may | {team: may.get(team, AGENT)}
        found = [comparable(each.recipient) for each in self._earlier.values() if each.ticket_id == ticket_id]
        for token in self.tokens:
            if token.ticket_id == ticket_id:
                found += owners(self._key, token, known)
        return self._sender in found, max((known.get(each, 0) for each in found), default=0)

    def _answered(self) -> Iterator[int]:
        """Yield the tickets of the received mails that this one answers, the nearest first."""
        by_mail = inbound_mails.tickets_of_mails(
            self._session, [ref for ref in self._mail.references if len(ref) <= MAX_ID]
        )
        for ref in self._mail.references:
            ticket_id = self._nearest(by_mail.get(ref, []))
            if ticket_id is not None:
                yield ticket_id

    def _nearest(self, found: Sequence[inbound_mails.TicketOfMail]) -> int | None:
        """Return the ticket that the mail answers, when several mails have the Message-ID: its sender's, of its subject.

        Without either it is the ticket of the first one, since only that mail's Message-ID was new.
        """
        if len({each.ticket_id for each in found}) > 1:
            subject = plain_subject(self._mail.subject)
            own = [each for each in found[:MAX_TICKETS] if self._takes_part(each.ticket_id)]
            of_subject = [each for each in own or found if plain_subject(each.title) == subject]
            found = of_subject or own or found
        return found[0].ticket_id if found else None

    def _takes_part(self, ticket_id: int) -> bool:
        people = inbound_mails.people_of_ticket(self._session, ticket_id)
        return people is not None and self._sender in self._rights(people)

    def _named(self) -> Iterator[int]:
        """Yield the numbers of tickets in the mail."""
        own = own_address()
        addressed = [
            match[1]
            for display_name, address in self._mail.recipients
            if plus_part(own, address) is not None and (match := _REPLY_TO_NAME.fullmatch(display_name))
        ]
        yield from map(int, [*self._numbers, *_SUBJECT_TAG.findall(self._mail.subject), *addressed])


def _plus_parts(mail: ParsedMail) -> Iterator[str]:
    """Yield what stands behind the plus sign in our address, among the recipients of the mail."""
    own = own_address()
    delivered = [
        found for name in _DELIVERED for value in mail.headers.get(name, ())[:10] for found in _ADDRESS.findall(value)
    ]
    for address in [*(address for _, address in mail.recipients), *delivered][:MAX_RECIPIENTS]:
        if part := plus_part(own, address):
            yield part


def own_address() -> str:
    """Return the address of MAIL_FROM, in lower case."""
    return parseaddr(get_settings().mail_from)[1].lower()


def own_name() -> str:
    """Return the display name of MAIL_FROM."""
    return parseaddr(get_settings().mail_from)[0]


def is_own_address(address: str) -> bool:
    """Return whether the address is that of MAIL_FROM, with or without a plus sign and what follows it."""
    return plus_part(own_address(), address) is not None
