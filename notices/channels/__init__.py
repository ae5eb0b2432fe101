"""How a notice leaves the house: one class a file, one message to one recipient at a time.

A channel either returns, and the notice is out, or raises ``ChannelError``, which says whether another try makes sense.
In-app notifications have no channel: their row in the database is the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from settings import Settings


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one recipient on one channel.

    ``id`` stays the same over all tries (a UUID in hex), so a receiver can drop a repeat. ``recipient`` is an e-mail
    address for the e-mail channel. All notices of one ``ticket_id`` are shown as one conversation.
    """

    id: str
    ticket_id: int
    recipient: str
    subject: str
    text: str
    html: str = ""


class ChannelError(Exception):
    """The notice did not leave; ``permanent`` says that another try cannot help, ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class Channel(Protocol):
    """A way to reach people."""

    name: str

    def send(self, notice: Notice) -> str:
        """Send one notice and return the id under which the provider knows it. Raises ChannelError."""
        ...


def channel(name: str, settings: Settings) -> Channel:
    """Return the channel of that name; e-mail without SMTP_URL is its console twin.

    Raises ChannelError (permanent) for an unknown name, SettingsError when SMTP_URL or MAIL_FROM cannot be used.
    """
    # Imported here because both modules need Notice and ChannelError from this one
    from notices.channels.console import ConsoleChannel
    from notices.channels.email import EmailChannel

    if name == "email" and settings.smtp_url is not None:
        return EmailChannel(settings.smtp_url.get_secret_value(), settings.mail_from)
    if name in ("email", "console"):
        return ConsoleChannel()
    raise ChannelError(f"there is no channel {name[:40]!r}; there are: email, console", permanent=True)
