"""A login that waits for its second factor: a signed text in the form, which is valid for some minutes.

It names the user and the password hash that was verified, so a change of the password makes it invalid.
"""

from __future__ import annotations

import hashlib
import hmac
import time

from db.users import Account

#: Seconds until the login has to be started again.
PENDING_SECONDS = 300


def make(key: bytes, user: Account) -> str:
    """Return the text for a user whose password was verified."""
    until = str(int(time.time()) + PENDING_SECONDS)
    return f"{until}.{_signature(key, user, until)}"


def is_valid(key: bytes, user: Account, text: str) -> bool:
    """Return whether the text was made for this user and password, and is not too old."""
    until, _, signature = text.partition(".")
    if len(text) > 100 or not text.isascii() or not until.isdecimal():
        return False
    return hmac.compare_digest(signature, _signature(key, user, until)) and int(until) > time.time()


def _signature(key: bytes, user: Account, until: str) -> str:
    return hmac.new(key, f"pending\0{user.id}\0{user.password}\0{until}".encode(), hashlib.sha256).hexdigest()
