"""Sentry: reports each log line of level ERROR with its exception, to Sentry or a compatible server.

SENTRY_DSN switches it on (the extra `aura-desk[sentry]`). A report holds the log line alone: no request, no local variable,
nothing of Sentry's integrations, for those hold ticket text. Texts of exceptions are those of `aura.error_text`.
"""

from __future__ import annotations

import logging
from typing import Any

from aura.error_text import error_text, flattened, library_text
from aura.settings import Settings, SettingsError

#: Seconds for the last reports of a process.
FLUSH_WITHIN = 3.0
#: Fields of the log line that become searchable tags.
TAGS = ("actor", "key")


#: Parts of an event that may be sent.
SENT = {"event_id", "timestamp", "level", "logger", "logentry", "exception", "tags", "extra"}
SENT |= {"environment", "release", "platform", "server_name", "sdk", "contexts"}


def _only_known(event: dict[str, Any], _hint: Any) -> dict[str, Any]:
    """Drop the parts that a later version of the SDK, or a program that embeds Aura, adds: request, user, breadcrumbs."""
    for value in event.get("exception", {}).get("values", ()):
        for frame in (value.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    return {name: value for name, value in event.items() if name in SENT}


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
                before_send=_only_known,  # type: ignore[arg-type]
            )
        except ValueError:  # its text repeats the DSN
            raise SettingsError("SENTRY_DSN must be https://KEY@HOST/PROJECT") from None

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; structlog's come as a dictionary, and those of libraries as text."""
        from aura.jobs.logs import exception_of, is_own, masked

        own = isinstance(record.msg, dict)
        try:
            fields: dict[str, Any] = (
                dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
            )
        except Exception:  # a library's arguments do not fit its message
            fields = {"event": str(record.msg)}
        if not own and not is_own(record.name):
            fields["event"] = library_text(fields["event"])
        error = exception_of(fields.pop("exc_info", None) or record.exc_info)
        fields = masked(fields)
        event: dict[str, Any] = {} if error is None else {"exception": {"values": self._exceptions(error)}}
        event |= {
            "level": record.levelname.lower(),
            "logger": record.name,
            "logentry": {"message": str(fields.pop("event", ""))},
            "tags": {name: str(fields[name]) for name in TAGS if name in fields},
            "extra": {name: value for name, value in fields.items() if not name.startswith("_")},
        }
        self._sentry.capture_event(event)  # type: ignore[arg-type]  # a plain dictionary

    def _exceptions(self, error: BaseException) -> list[dict[str, Any]]:
        """Return the exceptions of the chain and of groups, the oldest first, as Sentry wants them."""
        from sentry_sdk.utils import single_exception_from_error_tuple

        options = self._sentry.get_client().options
        values: list[dict[str, Any]] = []
        for each in flattened(error):
            value = single_exception_from_error_tuple(type(each), each, each.__traceback__, options)
            values.append({**value, "value": error_text(each)})
        return values[::-1]

    def flush(self) -> None:
        """Wait until every report is sent."""
        self._sentry.flush(FLUSH_WITHIN)
