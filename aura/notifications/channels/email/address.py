"""Addresses beyond ASCII: with the A-label of the domain (RFC 5891), otherwise with SMTPUTF8 as they are (RFC 6531).

The library `idna` implements IDNA 2008 with the mapping of UTS 46, as browsers do; Python's codec `idna` is the standard of
2003, which maps `straße.de` to another domain.
"""

from __future__ import annotations

import idna

from aura.notifications.channels.base import ChannelError


def wire_address(address: str, smtputf8: bool) -> str:
    """Return the address for a server, which may offer SMTPUTF8. Raises ChannelError, permanent, when there is none.

    An address that ASCII can express goes out in ASCII to every server: a server that relays a mail with SMTPUTF8 returns
    it when the next one does not offer that.
    """
    try:
        return ascii_address(address)
    except ChannelError:
        if smtputf8:
            return address
        raise


def ascii_address(address: str) -> str:
    """Return the address with its domain in ASCII. Raises ChannelError, permanent, when that is not possible."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise ChannelError(
            "the part before @ of the recipient has non-ASCII characters, and the mail server does not accept them "
            "(SMTPUTF8)",
            permanent=True,
        )
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except UnicodeError:  # IDNAError is one
        raise ChannelError(
            "the domain of the recipient is not a valid internationalized domain", permanent=True
        ) from None
