"""How a notice leaves the house: one class a file, one message to one recipient at a time.

A channel either returns, and the notice is out, or raises ``ChannelError``, which says whether another try makes sense.
In-app notifications have no channel: their row in the database is the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from aura.errors import JobError
from aura.settings import Settings

#: The URL of an endpoint that is none: what goes there is logged.
CONSOLE = "console:"


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message to one recipient on one channel.

    ``id`` stays the same over all tries (a UUID in hex), so a receiver can drop a repeat. ``recipient`` is an e-mail
    address for the e-mail channel, else the name of the endpoint whose ``url`` and ``keys`` are here. All notices of one
    ``ticket_id`` are shown as one conversation; 0 is none. ``data`` is the same for programs.
    """

    id: str
    ticket_id: int
    recipient: str
    subject: str
    text: str
    html: str = ""
    event: str = "message"
    data: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    #: Where the ticket is, at our own address.
    link: str = ""
    #: Both are secrets: whoever knows them can write there.
    url: str = field(default="", repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)


class ChannelError(JobError):
    """The notice did not leave; ``permanent`` says that another try cannot help, ``retry_after`` is in seconds.

    ``unsure``: nobody knows whether it left. ``pauses_queue``: what ``retry_after`` says holds for every notice of the
    channel, not for this recipient alone. ``counts_attempt``: the other side was asked.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        unsure: bool = False,
        pauses_queue: bool = True,
        counts_attempt: bool = True,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.unsure = unsure
        self.pauses_queue = pauses_queue
        self.counts_attempt = counts_attempt


class Channel(Protocol):
    """A way to reach people."""

    name: str

    def send(self, notice: OutboundMessage) -> str:
        """Send one notice and return the id under which the provider knows it. Raises ChannelError."""
        ...


def channel(name: str, settings: Settings) -> Channel:
    """Return the channel of that name; e-mail without SMTP_URL is its console twin, and so is an endpoint of that name.

    Raises ChannelError (permanent) for an unknown name, SettingsError when SMTP_URL or MAIL_FROM cannot be used.
    """
    # Imported here because the modules need Notice and ChannelError from this one
    from aura.notifications.channels.apprise import AppriseChannel
    from aura.notifications.channels.console import ConsoleChannel
    from aura.notifications.channels.email import EmailChannel
    from aura.notifications.channels.slack import SlackChannel
    from aura.notifications.channels.teams import TeamsChannel
    from aura.notifications.channels.webhook import WebhookChannel

    if name == "email" and settings.smtp_url is not None:
        return EmailChannel(settings.smtp_url.get_secret_value(), settings.mail_from)
    if name in ("email", "console"):
        return ConsoleChannel()
    if name == "apprise":
        return AppriseChannel()
    for kind in (SlackChannel, TeamsChannel, WebhookChannel):
        if kind.name == name:
            return kind(settings.webhook_hosts)
    there = "email, slack, teams, webhook, apprise, console"
    raise ChannelError(f"there is no channel {name[:30]!r}; there are: {there}", permanent=True)
