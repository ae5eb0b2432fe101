"""Telling people: who wants to know (``recipients``, ``subscribers``), when (``delayed_until``), what to say (``word``), and
how it gets there (``channel``)."""

from __future__ import annotations

from aura.notifications.channels import Channel, ChannelError, OutboundMessage, channel
from aura.notifications.quiet_hours import Preference, delay_until, quiet_until
from aura.notifications.recipients import Agent, Recipient, Role, once, recipients, route
from aura.notifications.render import (
    DIGEST,
    EVENTS,
    DigestItem,
    RenderedMessage,
    TicketFacts,
    as_html,
    render_digest,
    render_message,
)
from aura.notifications.sanitize import is_email
from aura.notifications.subscriptions import Subscription, SubscriptionTopic, subscribers

__all__ = [
    "DIGEST",
    "EVENTS",
    "Agent",
    "Channel",
    "ChannelError",
    "DigestItem",
    "OutboundMessage",
    "Preference",
    "Recipient",
    "RenderedMessage",
    "Role",
    "Subscription",
    "SubscriptionTopic",
    "TicketFacts",
    "as_html",
    "channel",
    "delay_until",
    "is_email",
    "once",
    "quiet_until",
    "recipients",
    "render_digest",
    "render_message",
    "route",
    "subscribers",
]
