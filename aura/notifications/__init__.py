"""Telling people: who wants to know (``recipients``, ``subscribers``), when (``hold_until``), what to say (``word``), and
how it gets there (``channel``)."""

from __future__ import annotations

from aura.notifications.channels import Channel, ChannelError, Notice, channel
from aura.notifications.quiet_hours import Preference, hold_until, quiet_until
from aura.notifications.recipients import Agent, Recipient, Role, once, recipients, route
from aura.notifications.render import DIGEST, EVENTS, Folded, TicketFacts, Wording, as_html, word, word_digest
from aura.notifications.sanitize import is_email
from aura.notifications.subscriptions import Matter, Subscription, subscribers

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
