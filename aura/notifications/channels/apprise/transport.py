"""The apprise transport: more than a hundred services, each by a URL of https://appriseit.com (extra `aura-desk[apprise]`).

Apprise makes its own connections, so the SSRF guard of `aura.notifications.safe_http` does not apply, and it reports no
reason of a failure. Its URLs for plain HTTP and for the local machine are refused.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from aura.notifications.channels.base import CONSOLE_URL, ChannelError, OutboundMessage
from aura.notifications.channels.console import ConsoleChannel
from aura.notifications.sanitize import block, one_line

NOT_INSTALLED = "apprise is not installed: pip install 'aura-desk[apprise]'"
#: Schemes that reach any address, or the local machine.
REFUSED_SCHEMES = (
    "json",
    "jsons",
    "xml",
    "xmls",
    "form",
    "forms",
    "syslog",
    "rsyslog",
    "dbus",
    "file",
    "windows",
    "macosx",
    "gnome",
    "kde",
    "glib",
    "qt",
)
REFUSED = "the URL names no service: use the webhook channel"
_ONE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,]*(?:,(?![^,]*://)[^\s,]*)*")
#: Characters of subject and text.
SUBJECT_LIMIT, TEXT_LIMIT = 250, 10_000


class AppriseChannel:
    """Send messages to the service that the endpoint's URL names."""

    name = "apprise"

    def send(self, message: OutboundMessage) -> str:
        """Send one message and return its id. Raises ChannelError, without any part of the URL."""
        if message.url == CONSOLE_URL:
            return ConsoleChannel().send(message)
        service = _service(message.url)
        title, text = one_line(message.subject, SUBJECT_LIMIT), block(message.text, TEXT_LIMIT)
        if not service.notify(body=text, title=title, body_format="text", interpret_escapes=False):
            raise ChannelError(f"endpoint {message.recipient}: apprise failed, see the log", in_doubt=True)
        return message.id


def check(url: str) -> None:
    """Check that apprise knows the URL. Raises ChannelError (permanent), without any part of it."""
    if url != CONSOLE_URL:
        _service(url)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno == logging.WARNING


def _service(url: str) -> Any:
    # apprise splits a text at commas and blanks and finds a URL within it, so the URL must be the whole text
    if not _ONE_URL.fullmatch(url) or url.partition("://")[0].lower() in REFUSED_SCHEMES:
        raise ChannelError(REFUSED, permanent=True)
    try:
        import apprise
    except ImportError:
        raise ChannelError(NOT_INSTALLED, permanent=True) from None
    # their other log records repeat URLs, tokens and messages
    logging.getLogger("apprise").addFilter(_is_warning)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    service = apprise.Apprise()
    if not service.add(url) or len(service) != 1:
        raise ChannelError("apprise does not know this URL: see https://appriseit.com", permanent=True)
    # what apprise made of it counts
    if not _schemes(service[0]).isdisjoint(REFUSED_SCHEMES):
        raise ChannelError(REFUSED, permanent=True)
    return service


def _schemes(service: Any) -> set[str]:
    """Return the schemes of a service, each in lower case."""
    found: set[str] = set()
    for names in (service.protocol, service.secure_protocol):
        found |= {names} if isinstance(names, str) else set(names or ())
    return {name.lower() for name in found}
