"""Hostile strings go the whole way, from the API through database, model and mail to the pages, and stay text."""

from __future__ import annotations

import email
import json
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pytest_httpserver import HTTPServer

from aura.web.app import make_app
from tests.embedded import Hand
from tests.openai_server import CHAT, HostileModel
from tests.services import free_port
from tests.unit.web.clients import local_client

STRINGS = (
    "<script>hx17()</script>",
    "\"'><img src=x onerror=hx17()>",
    "</textarea></title></pre><hx17>",
    "<svg/onload=hx17()>&lt;hx17&gt;",
    "[x](javascript:hx17()) javascript:hx17()",
    "x\r\nBcc: hx17@evil.example\r\n\r\n<hx17>",
    "=?utf-8?q?x=0D=0ABcc:_hx17=40evil.example?=",
    "'; DROP TABLE tickets; -- hx17",
    "{{ 71 * 7919 }} ${71*7919} %s %n {0.__class__}",
    "nul \0 lone \ud800 turned \u202e wide \U0001f4a9 hx17",
    "=cmd|' /C calc'!A0 hx17",
    "../../etc/passwd?x=<hx17>#",
    "<hx17>" * 300,
)
PAGES = ("/", "/tickets", "/review", "/jobs", "/queues", "/dead-letters", "/audit", "/ai", "/incidents")
LISTS = ("/api/v1/tickets", "/api/v1/jobs", "/api/v1/dead-letters", "/api/v1/audit")


class Markup(HTMLParser):
    """Notes what of a page is markup and should be none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        for name, value in attributes:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.wrong.append(f"{tag} {name}={value}")
        if tag.startswith("hx17"):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.wrong.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


class Mailbox:
    """A real mail server that keeps what arrives."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: set[str] = set()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.update(envelope.rcpt_tos)
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    mailbox, port = Mailbox(), free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    yield mailbox, f"smtp://127.0.0.1:{port}"
    controller.stop()


def test_hostile_strings_stay_text_from_the_api_to_the_page_and_the_mail(
    postgres: str,
    hand: Hand,
    configure: Callable[..., Any],
    httpserver: HTTPServer,
    mailbox: tuple[Mailbox, str],
) -> None:
    box, smtp = mailbox
    # the model puts the ticket's own words, and worse, into each of its answers
    httpserver.expect_request(CHAT).respond_with_handler(HostileModel())
    configure(
        SMTP_URL=smtp,
        OPENAI_API_KEY="sk-test",
        OPENAI_BASE_URL=httpserver.url_for("/v1"),
        AI_MODEL="test-model",
        AURA_SERVICE_DESK="desk@example.com",
        AURA_INCIDENT_TICKETS="1000",
        AURA_DIGEST_ABOVE="0",
    )
    web = local_client(make_app())
    numbers = []
    for place, string in enumerate(STRINGS):
        ticket = {
            "title": string,
            "description": string,
            "department": string[:200],
            "requester": f"p{place}@example.com",
        }
        body = json.dumps(ticket | ({"requester": string[:250]} if place % 2 else {}))
        answer = web.post("/tickets", content=body, headers={"Idempotency-Key": f"k{place}"})
        assert answer.status_code == 202, string
        numbers.append(answer.json()["id"])
    hand.run()
    for number, string in zip(numbers, STRINGS, strict=True):
        commented = web.post(f"/api/v1/tickets/{number}/comments", content=json.dumps({"text": string}))
        assert commented.status_code in (201, 422), string
    hand.run()

    asked = [(page, {}) for page in (*PAGES, *LISTS, *(f"/tickets/{number}" for number in numbers))]
    asked += [(page, {"q": string.encode("utf-8", "replace")}) for page in ("/tickets",) for string in STRINGS]
    for path, parameters in asked:
        wants = "application/json" if path.startswith("/api") else "text/html"
        shown = web.get(path, params=parameters, headers={"Accept": wants})
        assert shown.status_code < 500, (path, parameters)
        if "text/html" in shown.headers["content-type"]:
            assert Markup(shown.text).wrong == [], (path, parameters)
            assert "562249" not in shown.text, "nobody evaluates it"

    assert len(box.mails) >= len(STRINGS)
    assert all(address.endswith("@example.com") for address in box.recipients)
    for mail in box.mails:
        assert (mail["Bcc"], mail["Cc"], len(mail.get_all("To", []))) == (None, None, 1)
        markup = mail.get_body(("html",))
        assert markup is None or Markup(markup.get_content()).wrong == []
