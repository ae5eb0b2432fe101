"""Signatures of webhooks, outgoing and incoming, as https://www.standardwebhooks.com specifies them.

    headers = signed([secret], notification_id, body)
    message_id = verify([secret], request.headers, body)

A receiver that verifies knows who sent the body, and when. A message is good for five minutes, so that whoever
overheard one cannot send it again later; within that time its id tells a repeat. With several keys each one signs, and
one that fits is enough, so a key is replaced without a message that anybody refuses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence

from aura.errors import InvalidInput

#: Seconds for which a message is good, before and after its timestamp.
TOLERANCE = 300.0
PREFIX = "whsec_"
#: Bytes of a new key, and of the shortest and the longest one that is taken.
KEY_BYTES, SHORTEST_KEY, LONGEST_KEY = 32, 24, 64
#: Signatures of one message that are looked at; a sender who rotates has two.
MOST_SIGNATURES = 10


class InvalidSignature(InvalidInput):
    """The message is not from who it should be, or too old; the text may be told to the sender."""


def new_secret() -> str:
    """Return a new key in the form that both sides keep: whsec_ and Base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a key. Raises ValueError, whose text repeats nothing of it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except (ValueError, binascii.Error):
        key = b""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(f"a key is {PREFIX} and {SHORTEST_KEY} to {LONGEST_KEY} bytes in Base64")
    return key


def signed(keys: Sequence[str], message_id: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
    """Return the three headers of a message; each key adds its signature. Raises ValueError for a wrong key."""
    moment = str(int(time.time()) if timestamp is None else timestamp)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(_signature(key_of(key), message_id, moment, body) for key in keys),
    }


def verify(keys: Sequence[str], headers: Mapping[str, str], body: bytes, moment: float | None = None) -> str:
    """Return the id of a message that one of the keys signed within the last five minutes. Raises WrongSignature.

    `headers` are looked up in lower case; `moment` is the time now, in seconds since 1970. Raises ValueError for a key
    of ours that is none.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")[:MOST_SIGNATURES]
    if not message_id or not timestamp or given == [""]:
        raise InvalidSignature("webhook-id, webhook-timestamp and webhook-signature must be there")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise InvalidSignature("webhook-timestamp must be seconds since 1970")
    if abs((time.time() if moment is None else moment) - int(timestamp)) > TOLERANCE:
        raise InvalidSignature(f"webhook-timestamp is more than {TOLERANCE / 60:.0f} minutes from now: check the clock")
    wanted = [_signature(key_of(key), message_id, timestamp, body).encode() for key in keys]
    # no `any`: the time it takes must not tell which key fits
    fits = [hmac.compare_digest(mine, one.encode("utf-8", "replace")) for mine in wanted for one in given]
    if True not in fits:
        raise InvalidSignature("no signature fits: check the key, and that the body is sent as it was signed")
    return message_id


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
