"""Notifications: decide who is notified and when, render the message, and send it on a channel."""

from __future__ import annotations

from aura.notifications.channels import Channel, ChannelError, OutboundMessage
from aura.notifications.channels.email.html import as_html
from aura.notifications.channels.registry import make_channel
from aura.notifications.quiet_hours import Preference
from aura.notifications.recipients import PUBLIC_REPLY, Agent, Recipient, Role, Visibility, route
from aura.notifications.render import (
    DIGEST,
    EVENTS,
    DigestItem,
    IncidentFacts,
    RenderedMessage,
    TicketFacts,
    incident_link,
    render_digest,
    render_incident,
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
    "IncidentFacts",
    "OutboundMessage",
    "Preference",
    "Recipient",
    "RenderedMessage",
    "Role",
    "Subscription",
    "TicketFacts",
    "Visibility",
    "as_html",
    "incident_link",
    "is_email",
    "make_channel",
    "render_digest",
    "render_incident",
    "render_message",
    "route",
]
