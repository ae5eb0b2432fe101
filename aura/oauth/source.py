"""Cache of an access token: valid for all threads of the process, renewed by one of them shortly before it expires.

The lifetime is measured with the monotonic clock from the moment before the request, so neither a wrong clock nor a clock
that is set changes it.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from aura.oauth.errors import TokenRefused, TokenServerUnavailable

#: Seconds before its expiry from which a token is renewed, at most this share of its lifetime.
MARGIN, MARGIN_SHARE = 300.0, 0.1
#: Lifetime of a token whose server names none, in seconds (RFC 6749, 5.1, only recommends `expires_in`).
UNKNOWN_LIFETIME = 300.0
#: Seconds until the next attempt to renew a token that is still valid, after the token server did not answer.
RENEWAL_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `fetched_at` and `expires_at` are seconds of the monotonic clock."""

    value: str = field(repr=False)
    fetched_at: float
    expires_at: float

    @property
    def seconds_left(self) -> float:
        return self.expires_at - monotonic()


class Grant(Protocol):
    """A way to obtain an access token."""

    #: What it is, for `aura doctor`, such as "client credentials".
    name: str

    def fetch(self) -> tuple[object, object]:
        """Return a new access token and its lifetime in seconds as the server wrote it.

        Raises TokenRefused and TokenServerUnavailable.
        """
        ...


class TokenSource:
    """The current access token of one grant."""

    def __init__(self, grant: Grant, clock: Callable[[], float] = monotonic) -> None:
        self.grant = grant
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0
        self._failure: TokenServerUnavailable | None = None
        self._failed_at = float("-inf")

    def token(self, refused: Token | None = None) -> Token:
        """Return a valid token; `refused` is one that the mail server did not accept, and is not returned again.

        Raises TokenRefused and TokenServerUnavailable.
        """
        asked_at = self._clock()
        with self._lock:  # the other threads wait for the answer to the one that asks
            current = self._token
            if current is not None and refused is not None and current.value == refused.value:
                current = None
            if current is not None and self._clock() < self._renew_at:
                return current
            if self._failure is not None and self._failed_at >= asked_at:
                raise copy.copy(self._failure)
            try:
                return self._fetch()
            except TokenServerUnavailable as error:
                if current is not None and self._clock() < current.expires_at:
                    self._renew_at = self._clock() + RENEWAL_PAUSE
                    return current
                self._failure, self._failed_at = error, self._clock()
                raise

    def _fetch(self) -> Token:
        before = self._clock()
        value, lifetime = self.grant.fetch()
        if not isinstance(value, str) or not value:
            raise TokenRefused("the token server answers without an access token")
        seconds = _seconds(lifetime)
        self._token = Token(value, before, before + seconds)
        self._renew_at = self._token.expires_at - min(MARGIN, seconds * MARGIN_SHARE)
        return self._token


def _seconds(lifetime: object) -> float:
    """Return a lifetime in seconds; some servers write it as a string."""
    try:
        return max(float(lifetime), 0.0) if isinstance(lifetime, (int, float, str)) else UNKNOWN_LIFETIME
    except ValueError:
        return UNKNOWN_LIFETIME
