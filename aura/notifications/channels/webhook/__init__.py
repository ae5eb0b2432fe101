"""The webhook channel."""

from __future__ import annotations

from aura.notifications.channels.webhook.transport import WebhookChannel

__all__ = ["WebhookChannel"]
