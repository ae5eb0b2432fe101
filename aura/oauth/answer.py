"""The answer of a token server, and the pieces that the providers share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from aura.settings import Settings, SettingsError, variable

#: Shows a person where to log in: URL, code (empty when the URL contains all), seconds until both expire.
Show = Callable[[str, str, float], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """An access token, its lifetime as the server wrote it, and the next refresh token; empty when the old one stays."""

    access_token: object = field(repr=False)
    expires_in: object
    refresh_token: str = field(default="", repr=False)


def required(settings: Settings, field_name: str, reason: str) -> str:
    """Return the value of a setting. Raises SettingsError when it is empty."""
    value = getattr(settings, field_name)
    text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    if not text:
        raise SettingsError(f"{variable(field_name)}: not set; {reason}")
    return str(text)


def shown(code: object) -> str:
    """Return an error code of a server as it can be shown: a short word, never a sentence, which may quote a secret."""
    text = str(code)[:60]
    return text if re.fullmatch(r"[A-Za-z0-9_.-]+", text) else "an unknown error"


def missing(library: str) -> SettingsError:
    """Return the error for a library that is not installed."""
    return SettingsError(f"OAuth needs {library}: pip install 'aura-desk[oauth]'")
