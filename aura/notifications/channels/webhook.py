"""The webhook channel: JSON for programs, signed as https://www.standardwebhooks.com specifies.

The receiver drops a repeat by `webhook-id`, which is the same over all tries, and verifies `webhook-signature` with a key
that `aura endpoints add` and `rotate` print.
"""

from __future__ import annotations

from collections.abc import Mapping

from aura.notifications.channels import ChannelError, OutboundMessage
from aura.notifications.channels.http import EndpointChannel
from aura.notifications.signatures import signed


class WebhookChannel(EndpointChannel):
    """Post `{"type", "timestamp", "data"}`, the same bytes at every try."""

    name = "webhook"

    def body(self, notice: OutboundMessage) -> Mapping[str, object]:
        told = {"ticket_id": notice.ticket_id or None, "subject": notice.subject, "text": notice.text}
        moment = notice.created_at.isoformat() if notice.created_at else None
        return {"type": notice.event, "timestamp": moment, "data": notice.data or told}

    def headers(self, notice: OutboundMessage, body: bytes) -> dict[str, str]:
        try:
            return signed(notice.keys, notice.id, body) if notice.keys else {}
        except ValueError as error:
            fix = f"`aura endpoints rotate {notice.recipient}` makes a new key"
            raise ChannelError(f"endpoint {notice.recipient}: {error}; {fix}", permanent=True) from None
