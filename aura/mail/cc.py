"""People in Cc of a mail become participants of its ticket, who are notified of public replies.

Nobody is notified because of a mail alone: only an agent's reply goes to them, each such mail has a link that ends it, and a
ticket has a limited number of them. So a mail with a thousand addresses in Cc sends nothing to them.
"""

from __future__ import annotations

import re
from email.utils import parseaddr

from sqlalchemy.orm import Session

from aura.ai.text.clean import clean_line
from aura.desk.participants import is_own_address
from aura.mail.parse import ParsedMail
from aura.notifications import is_email
from aura.notifications.addresses import comparable
from db import participants
from db.tickets import load

#: Addresses of one mail that are examined.
MAX_ADDRESSES = 100

#: Local parts that no person reads, and those of mailing lists.
_MACHINE = re.compile(
    r"(?:.*[-._+])?(?:do[-._]?not|no|not)[-._]?reply.*|mailer-daemon|postmaster|bounces?|abuse|listserv|majordomo"
    r"|.*-(?:request|bounces|owner|unsubscribe|subscribe|help)|(?:bounces?|owner)[-+].*",
    re.IGNORECASE,
)
#: Headers with the addresses to which a server delivered the mail, and the address of its mailing list.
_DELIVERED = ("delivered-to", "x-original-to", "envelope-to", "x-delivered-to", "list-post", "mailing-list")
_ANY_ADDRESS = re.compile(r"[^\s<>,;:\"]+@[^\s<>,;:\"?]+")


def remember_cc(session: Session, mail: ParsedMail, ticket_id: int) -> list[str]:
    """Add the people in Cc of a mail to its ticket; the caller holds the lock of the ticket. Returns the new addresses.

    Left out are Aura's own addresses, the requester, the sender, mailing lists and addresses that no person reads. An
    automatic mail adds nobody.
    """
    if not mail.cc or (mail.header("auto-submitted") or "no").strip().lower() != "no":
        return []
    people = [
        (clean_line(name, 200), comparable(address))
        for name, address in mail.cc[:MAX_ADDRESSES]
        # with a plus sign it carries the reply token of another person
        if is_email(address) and not is_own_address(address) and not _MACHINE.fullmatch(address.rpartition("@")[0])
    ]
    excluded = _delivered_addresses(mail) | {comparable(mail.sender)}
    ticket = load(session, [str(ticket_id)]).get(str(ticket_id))
    if ticket is not None:
        excluded.add(comparable(parseaddr(ticket.requester)[1]))
    new = {address: name for name, address in reversed(people) if address not in excluded}
    return participants.add(session, ticket_id, [(name, each) for each, name in reversed(new.items())], mail.sender)


def _delivered_addresses(mail: ParsedMail) -> set[str]:
    values = (value[:1_000] for name in _DELIVERED for value in mail.headers.get(name, ())[:10])
    return {comparable(found) for value in values for found in _ANY_ADDRESS.findall(value)}
