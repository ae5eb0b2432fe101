"""The Microsoft Teams channel: the URL of a Workflow ("when a webhook request is received") with an Adaptive Card 1.5.

A Workflow knows no id, so a repeat is seen twice there: AURA_AT_MOST_ONCE_CHANNELS=teams rather asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from aura.notifications.channels import OutboundMessage
from aura.notifications.channels.http import EndpointChannel
from aura.notifications.sanitize import block, one_line

#: Characters of the heading, of one line, and of all lines.
_SUBJECT, _LINE, _TEXT = 150, 1000, 8000
#: Bytes of JSON that the lines may take. Teams says it takes 28 KB in all, and is known to refuse less.
_LARGEST = 18_000


class TeamsChannel(EndpointChannel):
    """Post a card to Teams, with the text as it was written: a RichTextBlock knows no Markdown."""

    name = "teams"
    one_provider = True

    def body(self, notice: OutboundMessage) -> Mapping[str, object]:
        lines = [_line(one_line(notice.subject, _SUBJECT) or "Aura", weight="Bolder", size="Medium")]
        lines += _fitting(block(notice.text, _TEXT).splitlines(), _LARGEST)
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


def _fitting(texts: Iterable[str], room: int) -> list[dict[str, object]]:
    """Return as many lines as there is room for."""
    lines: list[dict[str, object]] = []
    for text in filter(None, texts):
        line = _line(one_line(text, _LINE))
        room -= len(json.dumps(line))
        if room < 0:
            return [*lines, _line("…")]
        lines.append(line)
    return lines
