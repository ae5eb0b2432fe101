"""The Slack channel: an incoming webhook, https://hooks.slack.com/services/..., with Block Kit.

A webhook belongs to one Slack channel and knows no id, so a repeat is seen twice there: AURA_AT_MOST_ONCE_CHANNELS=slack rather asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from aura.notifications.channels import OutboundMessage
from aura.notifications.channels.http import EndpointChannel
from aura.notifications.sanitize import block, one_line

#: Characters that Slack takes in a header, in a section, and in the line of its own notifications.
_HEADER, _SECTION, _LINE = 150, 3000, 300


class SlackChannel(EndpointChannel):
    """Post to Slack, with the text as it was written: nothing in it becomes a mention or a link."""

    name = "slack"
    one_provider = True

    def body(self, notice: OutboundMessage) -> Mapping[str, object]:
        header = {"type": "plain_text", "text": one_line(notice.subject, _HEADER) or "Aura", "emoji": False}
        blocks: list[dict[str, object]] = [{"type": "header", "text": header}]
        if text := _fitting(notice.text, _SECTION):
            blocks.append(_section(text))
        if notice.link:
            blocks.append(_section(f"<{escape(notice.link)}>"))
        return {"text": escape(one_line(notice.subject, _LINE)), "blocks": blocks, "unfurl_links": False}


def escape(text: str) -> str:
    """Return the text without what Slack would read as markup: <!channel>, <@user>, <https://...>."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, object]:
    # verbatim: bare URLs, #channels and @names stay text
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _fitting(text: str, limit: int) -> str:
    """Return the escaped text, cut before it was escaped, for a cut inside `&amp;` would show."""
    kept = block(text, limit)
    while len(escape(kept)) > limit:
        kept = block(kept, len(kept) * 9 // 10)
    return escape(kept)
