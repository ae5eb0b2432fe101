"""The Microsoft Teams channel: the URL of a Workflow ("when a webhook request is received") with an Adaptive Card 1.5.

A Workflow knows no id, so a repeat is seen twice there: AURA_HOLD_UNKNOWN=teams rather asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from notices.channels import Notice
from notices.channels.endpoint import EndpointChannel
from notices.safe import block, one_line

#: Characters of a card; Teams takes 28 KB in all, and a character may need twelve bytes in JSON.
_SUBJECT, _TEXT = 150, 1800


class TeamsChannel(EndpointChannel):
    """Post a card to Teams, with the text as it was written: a RichTextBlock knows no Markdown."""

    name = "teams"

    def body(self, notice: Notice) -> Mapping[str, object]:
        lines = [_line(one_line(notice.subject, _SUBJECT), weight="Bolder", size="Medium")]
        lines += [_line(line) for line in block(notice.text, _TEXT).splitlines() if line]
        card: dict[str, object] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.5",
            "msteams": {"width": "Full"},
            "body": lines,
        }
        if notice.link:
            card["actions"] = [{"type": "Action.OpenUrl", "title": f"#{notice.ticket_id}", "url": notice.link}]
        content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return {"type": "message", "attachments": [content]}


def _line(text: str, **look: str) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}
