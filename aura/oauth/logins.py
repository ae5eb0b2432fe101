"""The refresh tokens of `aura mail login`: encrypted in the database, where the processes of all hosts find them.

AURA_OAUTH_STORE_KEY encrypts them (Fernet: AES-128-CBC with HMAC-SHA-256), so a copy of the database opens no mailbox. A
lease lets one process at a time renew a login: some servers revoke it when a refresh token is used twice.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aura.oauth.answer import missing, required
from aura.oauth.errors import LoginRequired, TokenServerUnavailable
from aura.settings import OAuthProvider, Settings
from db import leader_election, oauth_logins, reading, transaction

#: Seconds of a lease, longer than a request; seconds that another process waits for it, and between two looks.
LEASE_SECONDS, WAIT_SECONDS, POLL_SECONDS = 60.0, 30.0, 0.2
_NO_LOGIN = "nobody has logged in"
_STORE_KEY = "set it to the same random text of 32 characters or more on every host; it encrypts the stored login"


@dataclass(frozen=True, slots=True)
class Login:
    """A stored login; `stored` is the encrypted refresh token."""

    refresh_token: str = field(repr=False)
    stored: str = field(repr=False)
    logged_in_at: datetime
    renewed_at: datetime


@dataclass(frozen=True, slots=True)
class Logins:
    """The login of one mailbox at one provider."""

    provider: OAuthProvider
    mailbox: str
    settings: Settings

    def load(self) -> Login:
        """Return the login. Raises LoginRequired when there is none, or AURA_OAUTH_STORE_KEY is another one."""
        from cryptography.fernet import InvalidToken

        with reading() as session:
            row = oauth_logins.find(session, self.provider, self.mailbox)
        if row is None:
            raise LoginRequired(f"{_NO_LOGIN} to {self.mailbox} at {self.provider}")
        try:
            text = self._cipher().decrypt(row.refresh_token.encode()).decode()
        except InvalidToken:
            text = ""
        if not text.startswith(self._label):
            raise LoginRequired(
                "AURA_OAUTH_STORE_KEY: not the key that encrypted the login: correct it, or log in again"
            )
        return Login(text.removeprefix(self._label), row.refresh_token, row.logged_in_at, row.renewed_at)

    def save(self, refresh_token: str) -> None:
        """Store a new login."""
        encrypted = self._encrypt(refresh_token)
        with transaction() as session:
            oauth_logins.save(session, self.provider, self.mailbox, encrypted)

    def renewed(self, login: Login, refresh_token: str) -> None:
        """Store the next refresh token; empty when the previous one stays. Changes nothing if a person logged in since."""
        encrypted = self._encrypt(refresh_token) if refresh_token else login.stored
        with transaction() as session:
            oauth_logins.replace(session, self.provider, self.mailbox, login.stored, encrypted)

    def remove(self) -> bool:
        """Delete the login. Returns whether there was one."""
        with transaction() as session:
            return oauth_logins.remove(session, self.provider, self.mailbox)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lease of the login. Raises TokenServerUnavailable when another process does not release it."""
        name = "oauth-" + hashlib.sha256(self._label.encode()).hexdigest()[:40]
        holder, deadline = uuid.uuid4().hex, time.monotonic() + WAIT_SECONDS
        while not self._acquire(name, holder):
            if time.monotonic() >= deadline:
                raise TokenServerUnavailable(f"another process is renewing the login of {self.mailbox}")
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            with transaction() as session:
                leader_election.release(session, name, holder)

    @staticmethod
    def _acquire(name: str, holder: str) -> bool:
        with transaction() as session:
            return leader_election.acquire(session, name, holder, LEASE_SECONDS) is not None

    def check_key(self) -> None:
        """Raise SettingsError when AURA_OAUTH_STORE_KEY is missing."""
        self._cipher()

    @property
    def _label(self) -> str:
        # a row that is copied to another mailbox cannot be read there
        return f"{self.provider}\n{self.mailbox}\n"

    def _encrypt(self, refresh_token: str) -> str:
        return str(self._cipher().encrypt(f"{self._label}{refresh_token}".encode()).decode())

    def _cipher(self) -> Any:
        try:
            from cryptography.fernet import Fernet
        except ImportError:
            raise missing("cryptography") from None
        key = required(self.settings, "oauth_store_key", _STORE_KEY)
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"aura oauth login\0" + key.encode()).digest()))
