"""The snippets of the how-to guides that extend Aura work."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from aura.ai.engines.base import ClassificationRequest
from aura.notifications.channels import OutboundMessage
from aura.settings import Settings
from db import reading, tickets, transaction
from db.models import Comment
from db.new_tickets import NewTicket
from tests.documents import DOCS, blocks


def snippets(page: str) -> dict[str, str]:
    """Return the Python blocks of a guide by the file that their first line names."""
    found = blocks(DOCS / "how-to" / page, "python")
    return {re.sub(r"^# (.*)\n(?s:.*)", r"\1", each.code): each.code for each in found}


@pytest.fixture
def module() -> Iterator[Callable[[str, str], Any]]:
    """A function that imports code under a module's name, for this test alone."""
    added: list[str] = []

    def module(name: str, code: str) -> Any:
        added.append(name)
        made = sys.modules[name] = types.ModuleType(name)
        exec(code, made.__dict__)
        return made

    yield module
    for name in added:
        del sys.modules[name]


@pytest.mark.usefixtures("sqlite", "declare")
def test_the_step_comments_on_a_ticket_without_a_description(hand: Any, module: Callable[[str, str], Any]) -> None:
    code = snippets("add-a-pipeline-step.md")
    step = module("actors.ask_for_details", code["actors/ask_for_details.py"])
    triage = module("triage_with_details", code["pipelines/triage.py"]).triage

    with transaction() as session:
        new = [NewTicket(title="VPN drops"), NewTicket(title="VPN drops", description="Every ten minutes")]
        first, second = tickets.create(session, "test", [(each, {}) for each in new])
        triage.send_many([first, second])
    hand.run()

    with reading() as session:
        assert [(each.ticket_id, each.text) for each in session.query(Comment)] == [(first, step.QUESTION)]
        assert [each.stage for each in tickets.listing(session)] == ["notified", "notified"]


def test_the_channel_posts_a_message(httpserver: HTTPServer, module: Callable[[str, str], Any]) -> None:
    chat = module("chat", snippets("add-a-notification-channel.md")["aura/notifications/channels/chat/transport.py"])
    httpserver.expect_request("/hook", json={"title": "VPN", "text": "It drops.", "link": ""}).respond_with_data("ok")
    channel = chat.ChatChannel([f"{httpserver.host}:{httpserver.port}"])
    message = OutboundMessage("1", 17, "desk-chat", "VPN", "It drops.", url=httpserver.url_for("/hook"))
    assert channel.send(message) == "1"


def test_the_engine_classifies_by_a_word(module: Callable[[str, str], Any]) -> None:
    keyword = module("keyword_engine", snippets("add-an-ai-engine.md")["aura/ai/engines/keyword.py"])
    requests = [ClassificationRequest("VPN drops", ""), ClassificationRequest("Printer", "")]
    assert [each.category for each in keyword.KeywordEngine().classify(requests)] == ["Network", "Other"]


def test_the_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"Settings": Settings}
    code = snippets("add-a-setting.md")["in the class Settings"]
    imports, field = code.split("\n\n")
    exec(f"{imports}\nclass Extended(Settings):\n    {field}", namespace)
    monkeypatch.setenv("AURA_QUIET_START", "21")
    assert namespace["Extended"](_env_file=None).quiet_start == 21
