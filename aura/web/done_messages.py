"""The message of a completed action, which the redirect after a form carries to the next page in `?done=`.

It is signed with the CSRF token of the session, so a link of another site shows no message. `FIXED` are messages by their
code, for pages without a session and for those that need no value.
"""

from __future__ import annotations

import hashlib
import hmac
from contextvars import ContextVar

#: The messages that a code stands for.
FIXED = {
    "password": "The password was changed. Log in again.",
    "session": "The session was ended.",
    "sessions": "All other sessions were ended.",
    "totp-removed": "The second factor was removed.",
}
#: Characters of the signature, and of the longest message.
_SIGNATURE, _LONGEST = 32, 300
#: What signs the messages of this request.
signer: ContextVar[str] = ContextVar("signer", default="")


def seal(message: str) -> str:
    """Return the value of `done` for a message, or for a code of FIXED."""
    return message if message in FIXED else f"{_signature(message[:_LONGEST])}{message[:_LONGEST]}"


def opened(value: str) -> str:
    """Return the message, or an empty text for a value that `seal` did not return to this session."""
    if value in FIXED:
        return FIXED[value]
    signature, message = value[:_SIGNATURE], value[_SIGNATURE:]
    signed = bool(signer.get()) and hmac.compare_digest(signature.encode(), _signature(message).encode())
    return message if signed else ""


def _signature(message: str) -> str:
    key = f"done\0{signer.get()}".encode()
    return hmac.new(key, message.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:_SIGNATURE]
