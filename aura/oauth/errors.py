"""The errors of OAuth: a refusal needs a person, an unavailable token server needs time. None contains a secret or a token."""

from __future__ import annotations

from aura.errors import Unavailable
from aura.settings import SettingsError


class TokenRefused(SettingsError):
    """The token server refused the request; the message names the setting or the step at the provider that is wrong."""


class LoginRequired(TokenRefused):
    """No login is stored, or the stored one expired or was revoked: a person must log in again."""


class TokenServerUnavailable(Unavailable):
    """The token server does not answer, or answers with an error of its own (429, 5xx)."""
