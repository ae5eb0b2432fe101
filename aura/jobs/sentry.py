"""Sentry: reports each log line of level ERROR with its exception, to Sentry or a compatible server.

SENTRY_DSN switches it on (the extra `aura-desk[sentry]`). A report holds the log line alone: no request, no local variable,
nothing of Sentry's integrations, for those hold ticket text.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from aura.settings import Settings, SettingsError

#: Seconds for the last reports of a process.
FLUSH_WITHIN = 3.0
#: Fields of the log line that become searchable tags.
TAGS = ("actor", "key")


class Reporter(logging.Handler):
    """Sends each error of the log. Raises SettingsError when the SDK is not installed, or the DSN is invalid."""

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

        fields: dict[str, Any] = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
        error = fields.pop("exc_info", None) or record.exc_info
        if error is True:  # structlog's value for the exception that is being handled
            error = sys.exc_info()
        event, hint = dict[str, Any](), None
        if isinstance(error, BaseException) or (isinstance(error, tuple) and error[0]):
            event, hint = event_from_exception(error, self._sentry.get_client().options)  # type: ignore[assignment]
        event |= {
            "level": record.levelname.lower(),
            "logger": record.name,
            "logentry": {"message": str(fields.pop("event", ""))},
            "tags": {name: str(fields[name]) for name in TAGS if name in fields},
            "extra": {name: value for name, value in fields.items() if not name.startswith("_")},
        }
        self._sentry.capture_event(event, hint)  # type: ignore[arg-type]  # a plain dictionary

    def flush(self) -> None:
        """Wait until every report is sent."""
        self._sentry.flush(FLUSH_WITHIN)
