"""The console channel: writes a notice to the log instead of sending it.

It is the twin of every channel that has no server to talk to, so a fresh checkout runs without a mail server.
"""

from __future__ import annotations

import json
import logging

from aura.notifications.channels import OutboundMessage

log = logging.getLogger(__name__)


class ConsoleChannel:
    """Log one line per notice and keep nothing; the body stays out of the log, it holds people's words."""

    name = "console"

    def send(self, notice: OutboundMessage) -> str:
        """Log the notice and return its id. Raises nothing."""
        # JSON escapes line breaks, so a hostile subject cannot forge a second log line
        line = {"id": notice.id, "ticket": notice.ticket_id, "to": notice.recipient, "subject": notice.subject}
        log.info("notice on the console %s", json.dumps(line))
        return notice.id
