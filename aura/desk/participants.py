"""Participants of a ticket: an agent adds or removes people in Cc, and a link in a mail removes its recipient."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

from aura.errors import InvalidInput, NotFound
from aura.notifications import is_email
from aura.notifications.addresses import comparable
from aura.settings import get_settings
from db import participants, reading, ticket_actions, transaction
from db.participants import MAX_PARTICIPANTS
from db.text import storable
from db.tickets import ensure_exists


class UnknownParticipant(NotFound):
    """The address is not one of the ticket's participants."""


def list_participants(ticket_id: int) -> list[dict[str, Any]]:
    """Return the participants of a ticket, the first first. Raises UnknownTicket."""
    with reading() as session:
        ensure_exists(session, ticket_id)
        return participants.listing(session, ticket_id)


def add_participant(ticket_id: int, address: str, author: str, name: str = "") -> bool:
    """Add a person in Cc, also one who was removed. Returns whether they are new.

    Raises InvalidInput for an invalid address, an address of the desk or too many participants, UnknownTicket.
    """
    address = comparable(address.strip())
    if not is_email(address):
        raise InvalidInput("address: must be one plain e-mail address, such as bob@example.com")
    if is_own_address(address):
        raise InvalidInput("address: is one of this desk (MAIL_FROM, AURA_SERVICE_DESK, AURA_IMAP_URL)")
    with transaction() as session:
        ticket_actions.lock_ticket(session, ticket_id)
        if any(each["address"] == address for each in participants.listing(session, ticket_id)):
            return False
        if not participants.restore(session, ticket_id, address):
            added = participants.add(session, ticket_id, [(storable(name).strip(), address)], author)
            if not added:
                raise InvalidInput(f"a ticket has at most {MAX_PARTICIPANTS} people in Cc, removed ones included")
        ticket_actions.record_action(session, ticket_id, author, f"added {address} to Cc")
    return True


def remove_participant(ticket_id: int, address: str, author: str) -> None:
    """Remove a person from Cc; no mail adds them again. Raises UnknownParticipant, UnknownTicket."""
    address = comparable(address.strip())
    with transaction() as session:
        ticket_actions.lock_ticket(session, ticket_id)
        if not participants.remove(session, ticket_id, address):
            raise UnknownParticipant(f"{storable(address)[:254]} is not in Cc of ticket {ticket_id}")
        ticket_actions.record_action(session, ticket_id, author, f"removed {address} from Cc")


def is_own_address(address: str) -> bool:
    """Return whether an address is one of this desk: sender, team, or the mailbox that is read, each also with a +tag.

    A mail to it would come back to Aura.
    """
    settings = get_settings()
    mailbox = unquote(urlsplit(settings.imap_url.get_secret_value()).username or "") if settings.imap_url else ""
    own = (settings.mail_from, settings.service_desk, mailbox)
    return _without_tag(address) in {_without_tag(parseaddr(each)[1]) for each in own if each}


def _without_tag(address: str) -> str:
    local, at, domain = comparable(address).rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
