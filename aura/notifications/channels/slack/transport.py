"""The Slack transport: posts Block Kit to an incoming webhook, https://hooks.slack.com/services/...

Slack knows no message id and shows a repeated message twice; AURA_AT_MOST_ONCE_CHANNELS=slack prevents repeats.
"""

from __future__ import annotations

from collections.abc import Mapping

from aura.notifications.channels.base import OutboundMessage
from aura.notifications.channels.endpoint import EndpointChannel
from aura.notifications.sanitize import block, one_line

#: Characters that Slack accepts in a header and in a section, and that its own notifications show.
HEADER_LIMIT, SECTION_LIMIT, FALLBACK_LIMIT = 150, 3000, 300


class SlackChannel(EndpointChannel):
    """Post the text verbatim: nothing in it becomes a mention or a link."""

    name = "slack"
    one_provider = True

    def body(self, message: OutboundMessage) -> Mapping[str, object]:
        header = {"type": "plain_text", "text": one_line(message.subject, HEADER_LIMIT) or "Aura", "emoji": False}
        blocks: list[dict[str, object]] = [{"type": "header", "text": header}]
        if text := _escape_within(message.text, SECTION_LIMIT):
            blocks.append(_section(text))
        if message.link:
            blocks.append(_section(f"<{escape(message.link)}>"))
        return {"text": escape(one_line(message.subject, FALLBACK_LIMIT)), "blocks": blocks, "unfurl_links": False}


def escape(text: str) -> str:
    """Return the text without Slack's markup: <!channel>, <@user>, <https://...>."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, object]:
    # verbatim: bare URLs, #channels and @names stay text
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _escape_within(text: str, limit: int) -> str:
    """Return the escaped text within the limit; it is cut before it is escaped, so no escape is cut."""
    text = block(text, limit)
    while len(escape(text)) > limit:
        text = block(text, len(text) * 9 // 10)
    return escape(text)
