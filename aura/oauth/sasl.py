"""SASL mechanisms with an access token: XOAUTH2 (Google, Microsoft) and OAUTHBEARER (RFC 7628).

    mechanism = choose(["PLAIN", "XOAUTH2"])
    imap.authenticate(mechanism, responder(mechanism, "desk@example.com", token, host, port))

The server answers a refused token with a challenge, a JSON object. The client must answer that with an empty response
(XOAUTH2) or with one %x01 (OAUTHBEARER), and only then does the server say that the login failed.
"""

from __future__ import annotations

import json
from collections.abc import Collection

#: The preferred one first: Microsoft offers XOAUTH2 only, and Google both.
MECHANISMS = ("XOAUTH2", "OAUTHBEARER")


def choose(offered: Collection[str]) -> str | None:
    """Return the mechanism to use; None when the server offers none."""
    return next((each for each in MECHANISMS if each in offered), None)


class Responder:
    """Answers the challenges of one login; `refusal` is the status that the server gave with a refused token."""

    def __init__(self, mechanism: str, user: str, token: str, host: str, port: int) -> None:
        self._sent = False
        self.refusal = ""
        if mechanism == "OAUTHBEARER":
            name = user.replace("=", "=3D").replace(",", "=2C")
            self._first = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"
            self._last = "\x01"
        else:
            self._first = f"user={user}\x01auth=Bearer {token}\x01\x01"
            self._last = ""

    def __call__(self, challenge: bytes | None = None) -> str:
        """Return the response to a challenge: the token once, then the acknowledgement of its refusal."""
        if not self._sent:
            self._sent = True
            return self._first
        self.refusal = _status(challenge or b"")
        return self._last


def _status(challenge: bytes) -> str:
    """Return the status of a refusal, such as 401 or invalid_token; empty when there is none."""
    try:
        status = json.loads(challenge.decode("utf-8", "replace")).get("status", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    text = str(status)[:40]
    return text if text.isascii() and text.replace("_", "").isalnum() else ""
