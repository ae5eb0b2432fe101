"""Telling people: who wants to know (``recipients``, ``subscribers``), when (``hold_until``), what to say (``word``), and
how it gets there (``channel``)."""

from __future__ import annotations

from notices.channels import Channel, ChannelError, Notice, channel
from notices.quiet import Preference, hold_until, quiet_until
from notices.recipients import Agent, Recipient, Role, once, recipients, route
from notices.safe import is_email
from notices.subscriptions import Matter, Subscription, subscribers
from notices.wording import DIGEST, EVENTS, Folded, TicketFacts, Wording, as_html, word, word_digest

__all__ = [
    "DIGEST",
    "EVENTS",
    "Agent",
    "Channel",
    "ChannelError",
    "Folded",
    "Matter",
    "Notice",
    "Preference",
    "Recipient",
    "Role",
    "Subscription",
    "TicketFacts",
    "Wording",
    "as_html",
    "channel",
    "hold_until",
    "is_email",
    "once",
    "quiet_until",
    "recipients",
    "route",
    "subscribers",
    "word",
    "word_digest",
]
