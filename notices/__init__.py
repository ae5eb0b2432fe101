"""Telling people: who wants to know (``recipients``), what to say (``word``), and how it gets there (``channel``)."""

from __future__ import annotations

from notices.channels import Channel, ChannelError, Notice, channel
from notices.recipients import Agent, Recipient, recipients, route
from notices.safe import is_email
from notices.wording import EVENTS, TicketFacts, Wording, word

__all__ = [
    "EVENTS",
    "Agent",
    "Channel",
    "ChannelError",
    "Notice",
    "Recipient",
    "TicketFacts",
    "Wording",
    "channel",
    "is_email",
    "recipients",
    "route",
    "word",
]
