"""Counts of failed logins by account, network and device, in windows of time.

A counter is a row with the time at which it expires, so the counts of all processes are one, and are bounded by the requests
of a window. The keys contain no names as they were typed: a person may type the password into the wrong field.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from sqlalchemy import case, delete, select
from sqlalchemy.orm import Session

from db.models import LoginFailure
from db.statements import upsert
from db.time import from_now, now

#: Seconds from the first failure until a counter starts again.
WINDOW_SECONDS = 900.0
#: Bits of an IPv6 network that count as one address: a subscriber has at least so many (RFC 6177).
IPV6_PREFIX = 64


def network_of(address: str) -> str:
    """Return the address, or the /64 network of an IPv6 address; an IPv4-mapped address is an IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


def exhausted(session: Session, limits: Mapping[str, int]) -> bool:
    """Return whether any of the counters has reached its limit."""
    counted = select(LoginFailure.key, LoginFailure.failures).where(
        LoginFailure.key.in_(list(limits)), LoginFailure.expires_at > now()
    )
    return any(row.failures >= limits[row.key] for row in session.execute(counted))


def record(session: Session, keys: Mapping[str, int]) -> None:
    """Add a failure to each counter, and delete those that have expired."""
    session.execute(delete(LoginFailure).where(LoginFailure.expires_at < from_now(-WINDOW_SECONDS)))
    for key in sorted(keys):  # always in the same order, or two logins wait for each other
        new = upsert(session, LoginFailure).values(key=key, failures=1, expires_at=from_now(WINDOW_SECONDS))
        over = LoginFailure.expires_at <= now()
        session.execute(
            new.on_conflict_do_update(
                index_elements=["key"],
                set_={
                    "failures": case((over, 1), else_=LoginFailure.failures + 1),
                    "expires_at": case((over, from_now(WINDOW_SECONDS)), else_=LoginFailure.expires_at),
                },
            )
        )
