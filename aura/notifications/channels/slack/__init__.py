"""The slack channel."""

from __future__ import annotations

from aura.notifications.channels.slack.transport import SlackChannel

__all__ = ["SlackChannel"]
