"""Base of the channels: the message, the protocol and the error."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from aura.errors import JobError

#: URL of an endpoint whose messages are logged instead of sent.
CONSOLE_URL = "console:"


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message to one recipient on one channel.

    `id` is the same at every attempt (a UUID in hex), so a receiver can recognise a repeat. `recipient` is an e-mail address
    for the e-mail channel, else the name of the endpoint with this `url` and these `keys`. Messages with the same `ticket_id`
    form one conversation; 0 is none. `data` holds the facts for programs.
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
    #: URL of the ticket's page.
    link: str = ""
    #: Message-IDs of the recipient's mails about the ticket, the oldest first, without angle brackets.
    references: tuple[str, ...] = ()
    #: URL that ends mails like this one to the recipient; empty for none.
    unsubscribe: str = ""
    #: Proof that a reply answers this message; its recipient's alone (`aura.notifications.reply_tokens`).
    reply_token: str = field(default="", repr=False)
    #: URL and keys are secrets: they permit to write to the endpoint.
    url: str = field(default="", repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)


class ChannelError(JobError):
    """A message was not delivered; `in_doubt`: it may have been, because the answer is missing."""

    def __init__(self, message: str = "", *, in_doubt: bool = False, **attributes: Any) -> None:
        super().__init__(message, **attributes)
        self.in_doubt = in_doubt


class Channel(Protocol):
    """A way to send messages."""

    name: str

    def send(self, message: OutboundMessage) -> str:
        """Send one message and return the provider's id of it. Raises ChannelError."""
        ...
