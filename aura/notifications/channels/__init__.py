"""Channels: send one message to one recipient, by e-mail, Slack, Teams, webhook, apprise, or to the log.

One folder for each channel; `registry` lists them. An in-app notification has no channel: its row is the delivery.
"""

from __future__ import annotations

from aura.notifications.channels.base import CONSOLE_URL, Channel, ChannelError, OutboundMessage

__all__ = ["CONSOLE_URL", "Channel", "ChannelError", "OutboundMessage"]
