"""The Microsoft Teams transport: Adaptive Cards within their limits, without markup."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from aura.notifications.channels.teams import TeamsChannel
from tests.unit.notifications.channels.helpers import LINK, message
from tests.unit.notifications.channels.hostile import ANY, HOSTILE


def sound_card(body: dict[str, Any]) -> list[str]:
    """Check what is posted against Adaptive Cards 1.5 as Teams takes them. Returns the texts."""
    assert len(json.dumps(body, separators=(",", ":"))) < 21_000, "Teams takes 28 KB, and is known to refuse less"
    assert body["type"] == "message"
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.5")
    texts = []
    assert card["body"]
    for element in card["body"]:
        # the only text element of Adaptive Cards in which Markdown is no markup
        assert element["type"] == "RichTextBlock"
        [run] = element["inlines"]
        assert run["type"] == "TextRun"
        assert run["text"]
        assert set(run) <= {"type", "text", "weight", "size"}
        texts.append(run["text"])
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "#17", "url": LINK}]
    assert "entities" not in card["msteams"]  # which is where a mention would be
    return texts


@pytest.mark.parametrize("text", HOSTILE)
def test_teams_gets_a_card_within_its_limits_and_no_markup(text: str) -> None:
    body = json.loads(json.dumps(TeamsChannel().body(message(subject=text, text=text))))
    for line in sound_card(body):
        assert line.isprintable() or "\u200c" in line
    json.dumps(body, ensure_ascii=False).encode()


@given(ANY, ANY)
def test_teams_takes_any_text(subject: str, text: str) -> None:
    sound_card(dict(TeamsChannel().body(message(subject=subject, text=text))))


def test_teams_shows_every_line_within_the_limit() -> None:
    assert sound_card(dict(TeamsChannel().body(message(text="one\n\ntwo")))) == ["[Aura #17] VPN", "one", "two"]
    assert sound_card(dict(TeamsChannel().body(message(text="😀\n" * 4000))))[-1] == "…"
