"""The Microsoft Teams transport: posts an Adaptive Card 1.5 to a Workflow ("when a webhook request is received").

A Workflow knows no message id, so Teams shows a repeated message twice; AURA_AT_MOST_ONCE_CHANNELS=teams prevents repeats.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from aura.notifications.channels.base import OutboundMessage
from aura.notifications.channels.endpoint import EndpointChannel
from aura.notifications.sanitize import block, one_line

#: Characters of the heading, of one line, and of the text.
SUBJECT_LIMIT, LINE_LIMIT, TEXT_LIMIT = 150, 1000, 8000
#: Bytes of JSON for the lines. Teams documents 28 KB for the request, and sometimes refuses less.
LINES_SIZE = 18_000


class TeamsChannel(EndpointChannel):
    """Post the text verbatim: a RichTextBlock has no Markdown."""

    name = "teams"
    one_provider = True

    def body(self, message: OutboundMessage) -> Mapping[str, object]:
        lines = [_line(one_line(message.subject, SUBJECT_LIMIT) or "Aura", weight="Bolder", size="Medium")]
        lines += _lines_within(block(message.text, TEXT_LIMIT).splitlines(), LINES_SIZE)
        card: dict[str, object] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.5",
            "msteams": {"width": "Full"},
            "body": lines,
        }
        if message.link:
            card["actions"] = [
                {
                    "type": "Action.OpenUrl",
                    "title": f"#{message.ticket_id}" if message.ticket_id else "Open",
                    "url": message.link,
                }
            ]
        content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        return {"type": "message", "attachments": [content]}


def _line(text: str, **style: str) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def _lines_within(texts: Iterable[str], size: int) -> list[dict[str, object]]:
    """Return the lines that fit into so many bytes, with an ellipsis when lines are left out."""
    lines: list[dict[str, object]] = []
    for text in filter(None, texts):
        line = _line(one_line(text, LINE_LIMIT))
        size -= len(json.dumps(line))
        if size < 0:
            return [*lines, _line("…")]
        lines.append(line)
    return lines
