"""The Slack transport: Block Kit within its limits, without markup."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from aura.notifications.channels.slack import SlackChannel
from tests.unit.notifications.channels.helpers import LINK, message
from tests.unit.notifications.channels.hostile import ANY, HOSTILE


def sound_slack(body: dict[str, Any]) -> str:
    """Check what is posted against the limits that Slack documents for Block Kit. Returns all its mrkdwn."""
    assert set(body) <= {"text", "blocks", "unfurl_links"}
    assert len(body["text"]) <= 40_000
    assert 1 <= len(body["blocks"]) <= 50
    marked = [body["text"]]
    for block in body["blocks"]:
        text = block["text"]
        assert text["text"], "Slack refuses an empty text"
        if block["type"] == "header":
            assert text["type"] == "plain_text"
            assert len(text["text"]) <= 150
        else:
            assert (block["type"], text["type"], text["verbatim"]) == ("section", "mrkdwn", True)
            assert len(text["text"]) <= 3000
            marked.append(text["text"])
    assert len(json.dumps(body["blocks"])) <= 50_000
    return "\n".join(marked)


@pytest.mark.parametrize("text", HOSTILE)
def test_slack_gets_nothing_beyond_its_limits_and_no_markup(text: str) -> None:
    body = json.loads(json.dumps(SlackChannel().body(message(subject=text, text=text))))
    shown = sound_slack(body)
    # the only markup is the link to our own ticket
    assert shown.replace(f"<{LINK}>", "").count("<") == 0
    assert shown.count(f"<{LINK}>") == 1
    assert "\u202e" not in json.loads(json.dumps(body))["blocks"][0]["text"]["text"]
    json.dumps(body, ensure_ascii=False).encode()  # no lone surrogate is left


@given(ANY, ANY)
def test_slack_takes_any_text(subject: str, text: str) -> None:
    shown = sound_slack(dict(SlackChannel().body(message(subject=subject, text=text))))
    assert "<" not in shown.replace(f"<{LINK}>", "")


def test_slack_shows_the_text_verbatim() -> None:
    [header, section, link] = SlackChannel().body(message(subject="a & b", text="1 < 2\nline"))["blocks"]  # type: ignore[misc]
    assert header["text"]["text"] == "a & b"
    assert section["text"]["text"] == "1 &lt; 2\nline"
    assert link["text"]["text"] == f"<{LINK}>"
    # a cut does not fall into an escape
    long = SlackChannel().body(message(text="&" * 4000))["blocks"][1]["text"]["text"]  # type: ignore[index]
    assert long.rstrip("…").replace("&amp;", "") == ""
