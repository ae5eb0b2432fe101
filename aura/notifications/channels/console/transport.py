"""The console transport: logs a message instead of sending it.

It replaces every channel that has no server to send to, so Aura runs without a mail server.
"""

from __future__ import annotations

import json
import logging

from aura.notifications.channels.base import OutboundMessage

log = logging.getLogger(__name__)


class ConsoleChannel:
    """Log one line for each message, without its subject and body: they quote the ticket."""

    name = "console"

    def send(self, message: OutboundMessage) -> str:
        """Log the message and return its id."""
        # JSON escapes line breaks, so the name of an endpoint cannot forge a log line
        line = {"id": message.id, "ticket": message.ticket_id, "to": message.recipient, "event": message.event}
        log.info("message logged instead of sent %s", json.dumps(line))
        return message.id
