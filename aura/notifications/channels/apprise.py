"""The apprise channel: a hundred more services, each by a URL of https://appriseit.com (`pip install aura-desk[apprise]`).

Apprise makes its connections itself, so what `aura.notifications.safe_http` refuses is not refused here, and it does not say whether
another try makes sense. Its URLs for plain HTTP are refused: the webhook channel does that safely.
"""

from __future__ import annotations

import logging
from typing import Any

from aura.notifications.channels import CONSOLE, ChannelError, OutboundMessage
from aura.notifications.channels.console import ConsoleChannel
from aura.notifications.sanitize import block, one_line

MISSING = "apprise is not installed: pip install 'aura-desk[apprise]'"
#: What leads to any address, or to this machine.
_REFUSED = ("json", "jsons", "xml", "xmls", "form", "forms", "syslog", "dbus", "file", "windows", "macosx", "gnome")
_SUBJECT, _TEXT = 250, 10_000


class AppriseChannel:
    """Send notices to the service that the endpoint's URL names."""

    name = "apprise"

    def send(self, notice: OutboundMessage) -> str:
        """Send one notice and return its id. Raises ChannelError, which repeats nothing of the URL."""
        if notice.url == CONSOLE:
            return ConsoleChannel().send(notice)
        service = _service(notice.url)
        title, text = one_line(notice.subject, _SUBJECT), block(notice.text, _TEXT)
        if not service.notify(body=text, title=title, body_format="text", interpret_escapes=False):
            raise ChannelError(f"endpoint {notice.recipient}: apprise could not send it, see the log", unsure=True)
        return notice.id


def check(url: str) -> None:
    """Make sure that apprise knows the URL. Raises ChannelError (permanent), which repeats nothing of it."""
    if url != CONSOLE:
        _service(url)


def _warnings(record: logging.LogRecord) -> bool:
    return record.levelno == logging.WARNING


def _service(url: str) -> Any:
    if url.partition("://")[0].lower() in _REFUSED:
        raise ChannelError("use the webhook channel for what is no service of its own", permanent=True)
    try:
        import apprise
    except ImportError:
        raise ChannelError(MISSING, permanent=True) from None
    # what they say besides warnings repeats URLs, tokens and the messages themselves
    logging.getLogger("apprise").addFilter(_warnings)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    service = apprise.Apprise()
    if not service.add(url) or len(service) != 1:
        raise ChannelError("apprise knows no such URL: see https://appriseit.com", permanent=True)
    return service
