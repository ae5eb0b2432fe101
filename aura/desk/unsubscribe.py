"""Unsubscribe: ends what a signed link names, the digests of an address or its mails about a ticket in Cc."""

from __future__ import annotations

from contextlib import suppress

from actors import digest
from aura.desk.participants import UnknownParticipant, remove_participant
from aura.errors import NotFound
from aura.notifications.unsubscribe import Unsubscribe, read_token
from db import audit, preferences, reading, signing_keys, subscriptions

#: The actor in the audit log: the link proves that its holder received the mail, and nothing else.
ACTOR = "unsubscribe link"


def read_link(token: str) -> Unsubscribe:
    """Return what a link ends. Raises InvalidToken."""
    with reading() as session:
        key = signing_keys.get(session, signing_keys.UNSUBSCRIBE)
    return read_token(key, token)


def unsubscribe(token: str, ip_address: str = "") -> Unsubscribe:
    """End what the link names, and nothing of another address. A repetition changes nothing. Raises InvalidToken.

    For digests: the e-mail subscriptions of the address and its preference for digests. Mails about tickets that the
    recipient reported, or is assigned to, still arrive, one by one.
    """
    what = read_link(token)
    who = audit.Actor(ACTOR, ip_address)
    with audit.acting(who, "notifications.unsubscribe", f"recipient/{what.address}", ticket=what.ticket_id) as session:
        if what.ticket_id:
            # removed before, or the ticket is deleted
            with suppress(UnknownParticipant, NotFound):
                remove_participant(what.ticket_id, what.address, what.address)
            return what
        subscriptions.remove_all(session, what.address, "email")
        if preferences.all_preferences(session).get(what.address, {}).get("digest"):
            preferences.save(session, what.address, {"digest": ""})
            digest.reschedule(session, what.address)
    return what
