"""Webhook signatures, outbound and inbound, as https://www.standardwebhooks.com specifies them.

    headers = sign([secret], notification_id, body)
    message_id = verify([secret], request.headers, body)

A valid signature proves the sender and the time of a message. A message is valid for five minutes, which limits replay;
within that time its id identifies a repeat. With several keys each one signs, and one match is enough, so a key is replaced
without rejected messages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence

from aura.errors import InvalidInput

#: Seconds before and after its timestamp for which a message is valid.
TOLERANCE = 300.0
PREFIX = "whsec_"
#: Bytes of a new key, and of the shortest and longest valid key.
KEY_BYTES, SHORTEST_KEY, LONGEST_KEY = 32, 24, 64
NO_MATCH = "no signature matches: check the key, and that the body is sent unchanged"
_SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{43}=")
#: Signatures of a message that are verified; during a rotation a message has two.
SIGNATURES_LIMIT = 10


class InvalidSignature(InvalidInput):
    """The signature is missing or does not match, or the message is too old; the text can be shown to the sender."""


def new_secret() -> str:
    """Return a new key in its text form: whsec_ and Base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a key. Raises ValueError, without any part of the key."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except (ValueError, binascii.Error):
        key = b""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(f"the key is invalid: it must be {PREFIX} and {SHORTEST_KEY} to {LONGEST_KEY} bytes in Base64")
    return key


def sign(keys: Sequence[str], message_id: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
    """Return the three headers of a message, with one signature for each key. Raises ValueError for an invalid key."""
    moment = str(int(time.time()) if timestamp is None else timestamp)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(_signature(key_of(key), message_id, moment, body) for key in keys),
    }


def verify(keys: Sequence[str], headers: Mapping[str, str], body: bytes, moment: float | None = None) -> str:
    """Return the id of a message that one of the keys signed within the last five minutes. Raises InvalidSignature.

    `headers` have names in lower case; `moment` is the present time in seconds since 1970. Raises ValueError for an invalid
    key.
    """
    message_id, timestamp, given = verify_headers(headers, moment)
    expected = [_signature(key_of(key), message_id, timestamp, body).encode() for key in keys]
    # no `any`: the time of the comparison must not reveal which key matches
    matches = [hmac.compare_digest(each, one.encode("utf-8", "replace")) for each in expected for one in given]
    if True not in matches:
        raise InvalidSignature(NO_MATCH)
    return message_id


def verify_headers(headers: Mapping[str, str], moment: float | None = None) -> tuple[str, str, list[str]]:
    """Return id, timestamp and signatures of a message, before its body is read. Raises InvalidSignature."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_LIMIT]
    if not message_id or not timestamp or given == [""]:
        raise InvalidSignature("the headers webhook-id, webhook-timestamp and webhook-signature are required")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise InvalidSignature("webhook-timestamp must be seconds since 1970")
    if abs((time.time() if moment is None else moment) - int(timestamp)) > TOLERANCE:
        raise InvalidSignature(f"webhook-timestamp is more than {TOLERANCE / 60:.0f} minutes from now: check the clock")
    if not any(_SIGNATURE.fullmatch(each) for each in given):
        raise InvalidSignature(NO_MATCH)
    return message_id, timestamp, given


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode("utf-8", "replace"), hashlib.sha256)
    mac.update(body)  # without a copy of a body that may be large
    return "v1," + base64.b64encode(mac.digest()).decode()
