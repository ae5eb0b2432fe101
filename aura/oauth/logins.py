"""The refresh tokens of `aura mail login`: encrypted in the database, where the processes of all hosts find them.

Their column is encrypted with AURA_ENCRYPTION_KEYS (`db.encryption`), so a copy of the database opens no mailbox. With
AURA_OAUTH_STORE_KEY, the setting of earlier versions, the token is encrypted with that key, too. A lease lets one process at
a time renew a login: some servers revoke it when a refresh token is used twice.
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
from typing import TYPE_CHECKING

from aura.oauth.errors import LoginRequired, TokenServerUnavailable
from aura.settings import OAuthProvider, Settings, SettingsError
from db import encryption, leader_election, oauth_logins, reading, transaction

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

#: Seconds of a lease, longer than a request; seconds that another process waits for it, and between two looks.
LEASE_SECONDS, WAIT_SECONDS, POLL_SECONDS = 60.0, 30.0, 0.2
_NO_LOGIN = "nobody has logged in"
_NO_KEYS = "AURA_ENCRYPTION_KEYS: not set; set it to the same key on every host, which encrypts the stored login"


@dataclass(frozen=True, slots=True)
class Login:
    """A stored login; `stored` is the refresh token with its label, as the column has it."""

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
        with reading() as session:
            row = oauth_logins.find(session, self.provider, self.mailbox)
        if row is None:
            raise LoginRequired(f"{_NO_LOGIN} to {self.mailbox} at {self.provider}")
        text = self._opened(row.refresh_token)
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
        """Raise SettingsError when there is no key that encrypts the login."""
        if self._cipher() is None and not encryption.available():
            raise SettingsError(_NO_KEYS)

    @property
    def _label(self) -> str:
        # a row that is copied to another mailbox cannot be read there
        return f"{self.provider}\n{self.mailbox}\n"

    def _encrypt(self, refresh_token: str) -> str:
        self.check_key()
        text, cipher = f"{self._label}{refresh_token}", self._cipher()
        return cipher.encrypt(text.encode()).decode() if cipher else text

    def _opened(self, stored: str) -> str:
        """Return the label and the token; another text if AURA_OAUTH_STORE_KEY is needed, and missing or another one."""
        from cryptography.fernet import InvalidToken

        cipher = self._cipher()
        if cipher is None or stored.startswith(self._label):
            return stored
        try:
            return cipher.decrypt(stored.encode()).decode()
        except InvalidToken:
            return ""

    def _cipher(self) -> Fernet | None:
        from cryptography.fernet import Fernet

        if self.settings.oauth_store_key is None:
            return None
        key = self.settings.oauth_store_key.get_secret_value().encode()
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"aura oauth login\0" + key).digest()))
