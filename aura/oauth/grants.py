"""Chooses how tokens are obtained, from the settings alone, and holds the token source of each mailbox.

1. AURA_OAUTH_SERVICE_ACCOUNT (google): the service account, on behalf of the mailbox.
2. AURA_OAUTH_REFRESH_TOKEN: that token.
3. AURA_OAUTH_CLIENT_SECRET (microsoft, and custom without AURA_OAUTH_DEVICE_URL): client credentials.
4. Otherwise the login that `aura mail login` has stored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from aura.oauth.answer import Answer
from aura.oauth.logins import Logins
from aura.oauth.source import Grant, TokenSource
from aura.settings import OAuthProvider, Settings

#: Name of the grant that uses a stored login.
LOGIN = "login"


class _Direct:
    """A grant without a refresh token."""

    def __init__(self, name: str, ask: Callable[[], Answer]) -> None:
        self.name, self._ask = name, ask

    def fetch(self) -> tuple[object, object]:
        answer = self._ask()
        return answer.access_token, answer.expires_in


class _RefreshToken:
    """The refresh token of a setting. The next ones stay in this process, which starts again with the setting."""

    name = "refresh token"

    def __init__(self, refresh_token: str, ask: Callable[[str], Answer]) -> None:
        self._refresh_token, self._ask = refresh_token, ask

    def fetch(self) -> tuple[object, object]:
        answer = self._ask(self._refresh_token)
        self._refresh_token = answer.refresh_token or self._refresh_token
        return answer.access_token, answer.expires_in


class _StoredLogin:
    """The refresh token that `aura mail login` stored; the next one replaces it, for all processes."""

    name = LOGIN

    def __init__(self, logins: Logins, ask: Callable[[str], Answer]) -> None:
        self.logins, self._ask = logins, ask

    def fetch(self) -> tuple[object, object]:
        with self.logins.exclusive():
            login = self.logins.load()
            answer = self._ask(login.refresh_token)
            self.logins.renewed(login, answer.refresh_token)
        return answer.access_token, answer.expires_in


def make_grant(provider: OAuthProvider, mailbox: str, settings: Settings) -> Grant:
    """Return the grant that the settings choose. Raises SettingsError when a library is missing."""
    module = import_provider(provider)
    if provider == "google" and settings.oauth_service_account:
        return _Direct("service account", lambda: module.service_account(settings, mailbox))
    if settings.oauth_refresh_token:
        return _RefreshToken(
            settings.oauth_refresh_token.get_secret_value(), lambda token: module.refresh(settings, token)
        )
    if uses_client_credentials(provider, settings):
        return _Direct("client credentials", lambda: module.client_credentials(settings))
    return _StoredLogin(Logins(provider, mailbox.lower(), settings), lambda token: module.refresh(settings, token))


def uses_client_credentials(provider: OAuthProvider, settings: Settings) -> bool:
    """Return whether the client secret alone obtains tokens."""
    return (provider == "microsoft" and settings.oauth_client_secret is not None) or (
        provider == "custom" and not settings.oauth_device_url
    )


def import_provider(provider: OAuthProvider) -> Any:
    """Return the module of a provider. Raises SettingsError when its library is not installed."""
    return import_module(f"aura.oauth.{provider}")


@lru_cache(maxsize=16)
def token_source(provider: OAuthProvider, mailbox: str, settings: Settings) -> TokenSource:
    """Return the one token source of the process for a mailbox. Raises SettingsError when a library is missing."""
    return TokenSource(make_grant(provider, mailbox, settings))
