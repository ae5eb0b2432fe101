"""Notifications: decide who is notified and when, render the message, and send it on a channel."""

from __future__ import annotations

from aura.notifications.channels import Channel, ChannelError, OutboundMessage
from aura.notifications.channels.email.html import as_html
from aura.notifications.channels.registry import make_channel
from aura.notifications.quiet_hours import Preference
from aura.notifications.recipients import PUBLIC_REPLY, Agent, Recipient, Role, route
from aura.notifications.render import (
    DIGEST,
    EVENTS,
    DigestItem,
    RenderedMessage,
    TicketFacts,
    render_digest,
    render_message,
)
from aura.notifications.sanitize import is_email
from aura.notifications.subscriptions import Subscription

__all__ = [
    "DIGEST",
    "EVENTS",
    "PUBLIC_REPLY",
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
    "TicketFacts",
    "as_html",
    "is_email",
    "make_channel",
    "render_digest",
    "render_message",
    "route",
]
