"""Reply tokens: prove that the sender of a mail received a mail of Aura about a ticket.

A token is an HMAC-SHA256 of the ticket and the recipient, with a key of the installation (`db.signing_keys`), so it cannot be
guessed and differs for each recipient. Mails carry it in Message-ID, References and, with plus addresses, Reply-To. It names its
ticket, not its owner: the address is none of other people's business. Only letters and digits that survive a change of case are
used, because mail programs and servers change the case of addresses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

from aura.notifications.addresses import comparable

#: Bytes of the signature: 120 bits.
SIGNATURE = 15
_TOKEN = re.compile(r"(\d{1,18})-([a-z2-7]{24})", re.ASCII)
#: Octets of the part of an address before the @ (RFC 5321, section 4.5.3.1.1).
LOCAL_LIMIT = 64


class ReplyToken(NamedTuple):
    """A token as a mail carries it; whether it is genuine shows `owners`."""

    ticket_id: int
    signature: str


def make_token(key: bytes, ticket_id: int, address: str) -> str:
    """Return the token of a recipient for a ticket, such as 17-mfrggzdfmztwq2lknnwg23tp."""
    content = f"reply\0{ticket_id}\0{comparable(address)}".encode("utf-8", "replace")
    signature = hmac.digest(key, content, hashlib.sha256)[:SIGNATURE]
    return f"{ticket_id}-{base64.b32encode(signature).decode().lower()}"


def find_token(text: str) -> ReplyToken | None:
    """Return the token that the text is, in any case; None when it is none."""
    found = _TOKEN.fullmatch(text.lower()) if len(text) <= LOCAL_LIMIT and text.isascii() else None
    return ReplyToken(int(found[1]), found[2]) if found else None


def owners(key: bytes, token: ReplyToken, addresses: Iterable[str]) -> list[str]:
    """Return those of the addresses for which the token was made; each is compared in constant time."""
    wanted = f"{token.ticket_id}-{token.signature}"
    return [each for each in addresses if hmac.compare_digest(make_token(key, token.ticket_id, each), wanted)]


def plus_address(address: str, token: str) -> str:
    """Return the address with the token behind a plus sign; the address itself when that would be too long."""
    local, _, domain = address.rpartition("@")
    tagged = f"{local}+{token}"
    return f"{tagged}@{domain}" if len(tagged) <= LOCAL_LIMIT else address


def plus_part(own_address: str, address: str) -> str | None:
    """Return what stands behind the plus sign of one of our addresses, "" without one; None for any other address."""
    local, _, domain = address.lower().rpartition("@")
    own_local, _, own_domain = own_address.lower().rpartition("@")
    if domain != own_domain or not own_local:
        return None
    if local == own_local:
        return ""
    return local[len(own_local) + 1 :] if local.startswith(f"{own_local}+") else None
