"""Errors for Sentry, or a server that speaks like it: each log line of level ERROR, with the exception that it names.

SENTRY_DSN switches it on (the extra `aura-desk[sentry]`). What is sent is what the log says: no request, no local
variable, nothing that Sentry's integrations would find by themselves, for all of that holds ticket text.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from aura.settings import Settings, SettingsError

#: Seconds that the last reports of a process may take on their way.
FLUSH_WITHIN = 3.0
#: What the log says that people search by.
TAGS = ("actor", "key")


class Reporter(logging.Handler):
    """Sends what is logged as an error. Raises SettingsError when it is not installed, or the DSN is none."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(logging.ERROR)
        try:
            import sentry_sdk
        except ImportError:
            raise SettingsError("SENTRY_DSN needs the Sentry SDK: pip install 'aura-desk[sentry]'") from None
        self._sentry = sentry_sdk
        try:
            sentry_sdk.init(
                settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None,
                environment="production" if settings.production else "development",
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                max_breadcrumbs=0,
            )
        except ValueError:  # its text repeats the DSN
            raise SettingsError("SENTRY_DSN must be https://KEY@HOST/PROJECT") from None

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; structlog's come as a dictionary, and those of libraries as text."""
        from sentry_sdk.utils import event_from_exception

        said: dict[str, Any] = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
        error = said.pop("exc_info", None) or record.exc_info
        if error is True:  # structlog's way to say: the one that is handled just now
            error = sys.exc_info()
        event, hint = dict[str, Any](), None
        if isinstance(error, BaseException) or (isinstance(error, tuple) and error[0]):
            event, hint = event_from_exception(error, self._sentry.get_client().options)  # type: ignore[assignment]
        event |= {
            "level": record.levelname.lower(),
            "logger": record.name,
            "logentry": {"message": str(said.pop("event", ""))},
            "tags": {name: str(said[name]) for name in TAGS if name in said},
            "extra": {name: value for name, value in said.items() if not name.startswith("_")},
        }
        self._sentry.capture_event(event, hint)  # type: ignore[arg-type]  # a plain dictionary

    def flush(self) -> None:
        """Wait until what was reported has left."""
        self._sentry.flush(FLUSH_WITHIN)
