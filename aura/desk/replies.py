"""Recipients of a public reply: the requester and the people in Cc, as the page names them and `announce` notifies them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from aura.notifications.recipients import PUBLIC_REPLY, recipients
from aura.settings import get_settings
from db import participants


def reply_recipients(session: Session, ticket_id: int, requester: str) -> list[str]:
    """Return the addresses and user names that a public reply on the ticket notifies, the requester first."""
    cc: Sequence[str] = ()
    if get_settings().notify_cc:
        cc = participants.of_tickets(session, [ticket_id]).get(ticket_id, ())
    return _notified("ticket.commented", requester, cc)


def resolution_recipients(requester: str) -> list[str]:
    """Return the address or user name that a public resolution notifies, if any."""
    return _notified("ticket.resolved", requester)


def _notified(event: str, requester: str, cc: Sequence[str] = ()) -> list[str]:
    found = recipients(
        event,
        requester=requester,
        language="en",
        assignee=None,
        team_address="",
        priority="medium",
        duplicate=False,
        roles=PUBLIC_REPLY if event == "ticket.commented" else (),
        participants=cc,
    )
    return [each.address for each in found if each.role in PUBLIC_REPLY]


def describe(addresses: Sequence[str]) -> str:
    """Return the recipients as a button names them, such as "ada@example.com and 2 in Cc"; "" for none."""
    if not addresses:
        return ""
    first, others = addresses[0], len(addresses) - 1
    return f"{first} and {others} in Cc" if others else first
