"""The webhook transport: JSON for programs, signed as https://www.standardwebhooks.com specifies.

The receiver recognises a repeat by `webhook-id`, which is the same at every attempt, and verifies `webhook-signature` with
the endpoint's key.
"""

from __future__ import annotations

from collections.abc import Mapping

from aura.notifications.channels.base import ChannelError, OutboundMessage
from aura.notifications.channels.endpoint import EndpointChannel
from aura.notifications.signatures import sign


class WebhookChannel(EndpointChannel):
    """Post `{"type", "timestamp", "data"}`, the same bytes at every attempt."""

    name = "webhook"

    def body(self, message: OutboundMessage) -> Mapping[str, object]:
        fields = {"ticket_id": message.ticket_id or None, "subject": message.subject, "text": message.text}
        timestamp = message.created_at.isoformat() if message.created_at else None
        return {"type": message.event, "timestamp": timestamp, "data": message.data or fields}

    def headers(self, message: OutboundMessage, body: bytes) -> dict[str, str]:
        try:
            return sign(message.keys, message.id, body) if message.keys else {}
        except ValueError as error:
            raise ChannelError(f"endpoint {message.recipient}: {error}; rotate its key", permanent=True) from None
