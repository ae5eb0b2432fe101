"""Slack, Teams, webhooks and apprise, against real HTTP servers."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.notifications import ChannelError, OutboundMessage, channel, safe_http
from aura.notifications.channels import CONSOLE, apprise
from aura.notifications.channels.http import EndpointChannel
from aura.notifications.channels.slack import SlackChannel
from aura.notifications.channels.teams import TeamsChannel
from aura.notifications.channels.webhook import WebhookChannel
from aura.notifications.signatures import InvalidSignature, new_secret, verify
from aura.settings import Settings
from tests.conftest import wait_until
from tests.receiver import PEM, Receiver, Reply

# apprise imports a module that leaves Python
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

KINDS = [SlackChannel, TeamsChannel, WebhookChannel]
LINK = "https://aura.example.com/tickets/17"


def notice(**changes: Any) -> OutboundMessage:
    facts: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef",
        "ticket_id": 17,
        "recipient": "desk",
        "subject": "[Aura #17] VPN",
        "text": "Hello,\n\nyour ticket.\n",
        "event": "ticket.classified",
        "link": LINK,
        "created_at": datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
    }
    return OutboundMessage(**(facts | changes))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def sender(kind: type[EndpointChannel], receiver: Receiver) -> EndpointChannel:
    return kind([receiver.host])


def refused(one: EndpointChannel, **changes: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        one.send(notice(**changes))
    return caught.value


# What an answer means


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_accepted_is_sent_and_keeps_its_id(kind: type[EndpointChannel], receiver: Receiver) -> None:
    for status in (200, 201, 202, 204):
        receiver.reply = lambda _, status=status: Reply(status, body=b"")  # type: ignore[misc]
        assert sender(kind, receiver).send(notice(url=f"{receiver.url}/hook?key=1")) == notice().id
    assert {each.path for each in receiver.arrived} == {"/hook?key=1"}
    assert {each.headers["content-type"] for each in receiver.arrived} == {"application/json"}
    # the same bytes at every try
    assert len({each.body for each in receiver.arrived}) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "permanent", "unsure"),
    [
        *((status, True, False) for status in (301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 410, 413, 415, 422)),
        *((status, False, False) for status in (408, 409, 425, 429, 500, 501, 503, 507)),
        *((status, False, True) for status in (502, 504)),
    ],
)
def test_an_answer_says_whether_another_try_makes_sense(
    kind: type[EndpointChannel], receiver: Receiver, status: int, permanent: bool, unsure: bool
) -> None:
    receiver.reply = lambda _: Reply(status, body=b"no_service")
    error = refused(sender(kind, receiver), url=receiver.url)
    assert (error.permanent, error.unsure, error.retry_after) == (permanent, unsure, None)
    assert error.counts_attempt
    assert str(error).startswith(f"endpoint desk answered {status}")


@pytest.mark.parametrize(("kind", "pauses"), [(SlackChannel, True), (TeamsChannel, True), (WebhookChannel, False)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_holds_for_the_channel_where_one_provider_is_behind_it(
    kind: type[EndpointChannel], pauses: bool, status: int, receiver: Receiver
) -> None:
    receiver.reply = lambda _: Reply(status, {"Retry-After": "7"})
    error = refused(sender(kind, receiver), url=receiver.url)
    assert (error.retry_after, error.permanent, error.pauses_queue) == (7.0, False, pauses)


def test_nobody_knows_whether_a_request_without_an_answer_was_taken(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(0)
    error = refused(sender(WebhookChannel, receiver), url=receiver.url)
    assert (error.permanent, error.unsure) == (False, True)
    assert len(receiver.arrived) == 1


def test_a_silent_receiver_is_unsure_and_ends(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_http, "PATIENCE", 0.1)
    released = threading.Event()
    receiver.reply = lambda _: Reply() if released.wait(30) else Reply(0)
    error = refused(sender(WebhookChannel, receiver), url=receiver.url)
    released.set()
    assert (error.permanent, error.unsure) == (False, True)
    assert "TimeoutError" in str(error)


def test_what_never_left_is_sure_not_to_have_arrived() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
    error = refused(WebhookChannel([host]), url=f"http://{host}")
    assert (error.permanent, error.unsure) == (False, False)


def test_an_address_that_is_not_allowed_is_the_end(receiver: Receiver) -> None:
    error = refused(WebhookChannel(), url=receiver.url)
    assert (error.permanent, error.unsure) == (True, False)
    assert receiver.arrived == []


def test_over_tls_the_receiver_must_prove_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    safe_http._trusted.cache_clear()
    with Receiver(tls=True) as receiver:
        error = refused(sender(WebhookChannel, receiver), url=receiver.url)
        assert (error.permanent, error.unsure) == (False, False)
        assert "SSLCertVerificationError" in str(error)
        assert receiver.arrived == []
        # with its authority named, it is trusted
        safe_http._trusted.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
        assert sender(WebhookChannel, receiver).send(notice(url=receiver.url)) == notice().id
    safe_http._trusted.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_repeats_what_is_secret_of_a_url(kind: type[EndpointChannel], receiver: Receiver) -> None:
    url = f"{receiver.url}/services/T0SECRET/B1SECRET/%78yzSECRET?sig=longSECRET"
    says = [
        b"no such hook",
        b"Cannot POST /services/T0SECRET/B1SECRET",
        b"gone: xyzSECRET",
        b"<p>bad signature longSECRE",
        b"x" * 195 + b"T0SECRET",
    ]
    for body in says:
        receiver.reply = lambda _, body=body: Reply(404, body=body)  # type: ignore[misc]
        error = refused(sender(kind, receiver), url=url)
        assert "SECRE" not in str(error)
    assert "no such hook" in str(refused_with(kind, receiver, url, says[0]))
    assert "SECRET" not in repr(notice(url=url, keys=("whsec_SECRET",)))


def refused_with(kind: type[EndpointChannel], receiver: Receiver, url: str, body: bytes) -> ChannelError:
    receiver.reply = lambda _: Reply(404, body=body)
    return refused(sender(kind, receiver), url=url)


def test_an_answer_is_quoted_as_one_short_line(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(400, body=b"a\r\n\x1b[31mb\xff" + "\u202e".encode() + b"z" * 9000)
    said = str(refused(sender(SlackChannel, receiver), url=receiver.url))
    assert "\n" not in said
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize("kind", KINDS)
def test_the_console_twin_sends_nothing(kind: type[EndpointChannel], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert kind().send(notice(url=CONSOLE)) == notice().id
    assert "notice on the console" in caplog.text


def test_channels_are_made_of_the_settings(receiver: Receiver) -> None:
    settings = Settings(_env_file=None, webhook_hosts=(receiver.host,))
    for kind in KINDS:
        made = channel(kind.name, settings)
        assert isinstance(made, kind)
        assert made.send(notice(url=receiver.url)) == notice().id


# What Slack and Teams are told

HOSTILE = [
    "<!channel> <!here> <@U123> <#C123> <!subteam^S1>",
    "<https://evil.example|your bank> [text](https://evil.example) javascript:alert(1)",
    "*bold* _it_ ~no~ `code` ```block``` > quote\n# heading\n- [ ] list",
    "\u202etxet\u2066 a\u200bb\u2028c",
    "a\ud800b\udfffc\0d",
    "x" * 100_000,
    "😀" * 100_000,
    "&<>" * 5_000,
    "a\n" * 50_000,
    "😀\n" * 5_000,
    "\n" * 9_000,
    '"\\' * 5_000,
    "",
    " \t\r\n",
]
ANY = st.one_of(
    st.text(max_size=300),
    st.tuples(st.sampled_from(["<!channel>", "&", "😀", "a\n", "\u202e", "\ud800", "]("]), st.integers(0, 4000)).map(
        lambda pair: pair[0] * pair[1]
    ),
)


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
    body = json.loads(json.dumps(SlackChannel().body(notice(subject=text, text=text))))
    said = sound_slack(body)
    # the only markup is the link to our own ticket
    assert said.replace(f"<{LINK}>", "").count("<") == 0
    assert said.count(f"<{LINK}>") == 1
    assert "\u202e" not in json.loads(json.dumps(body))["blocks"][0]["text"]["text"]
    json.dumps(body, ensure_ascii=False).encode()  # no lone surrogate is left


@given(ANY, ANY)
def test_slack_takes_any_text(subject: str, text: str) -> None:
    said = sound_slack(dict(SlackChannel().body(notice(subject=subject, text=text))))
    assert "<" not in said.replace(f"<{LINK}>", "")


def test_slack_shows_the_text_as_it_was_written() -> None:
    [header, section, link] = SlackChannel().body(notice(subject="a & b", text="1 < 2\nline"))["blocks"]  # type: ignore[misc]
    assert header["text"]["text"] == "a & b"
    assert section["text"]["text"] == "1 &lt; 2\nline"
    assert link["text"]["text"] == f"<{LINK}>"
    # a cut does not fall into an escape
    long = SlackChannel().body(notice(text="&" * 4000))["blocks"][1]["text"]["text"]  # type: ignore[index]
    assert long.rstrip("…").replace("&amp;", "") == ""


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
    body = json.loads(json.dumps(TeamsChannel().body(notice(subject=text, text=text))))
    for line in sound_card(body):
        assert line.isprintable() or "\u200c" in line
    json.dumps(body, ensure_ascii=False).encode()


@given(ANY, ANY)
def test_teams_takes_any_text(subject: str, text: str) -> None:
    sound_card(dict(TeamsChannel().body(notice(subject=subject, text=text))))


def test_teams_shows_every_line_and_says_when_there_is_more() -> None:
    assert sound_card(dict(TeamsChannel().body(notice(text="one\n\ntwo")))) == ["[Aura #17] VPN", "one", "two"]
    assert sound_card(dict(TeamsChannel().body(notice(text="😀\n" * 4000))))[-1] == "…"


def test_without_a_ticket_there_is_no_link() -> None:
    bare = notice(ticket_id=0, link="")
    assert len(SlackChannel().body(bare)["blocks"]) == 2  # type: ignore[arg-type]
    assert "actions" not in TeamsChannel().body(bare)["attachments"][0]["content"]  # type: ignore[index]


# What a webhook is told


def test_a_webhook_is_signed_with_every_key_and_its_id_is_the_notice_s(receiver: Receiver) -> None:
    new, old = new_secret(), new_secret()
    facts = {"event": "ticket.classified", "title": "</script>\ud800\0 \u202e" + "x" * 100_000}
    hook = sender(WebhookChannel, receiver)
    for _ in range(2):
        hook.send(notice(url=receiver.url, keys=(new, old), data=facts))
    for arrived in receiver.arrived:
        # a receiver that knows either key is content, and one that knows another is not
        for key in (new, old):
            assert verify([key], arrived.headers, arrived.body) == notice().id == arrived.headers["webhook-id"]
        with pytest.raises(InvalidSignature):
            verify([new_secret()], arrived.headers, arrived.body)
        told = json.loads(arrived.body)
        assert (told["type"], told["timestamp"]) == ("ticket.classified", "2026-11-25T12:00:00+00:00")
        assert told["data"] == facts
    assert receiver.arrived[0].body == receiver.arrived[1].body


def test_a_webhook_without_facts_tells_what_people_are_told(receiver: Receiver) -> None:
    sender(WebhookChannel, receiver).send(notice(url=receiver.url))
    [arrived] = receiver.arrived
    assert "webhook-signature" not in arrived.headers
    said = json.loads(arrived.body)["data"]
    assert said == {"ticket_id": 17, "subject": "[Aura #17] VPN", "text": "Hello,\n\nyour ticket.\n"}


def test_a_key_that_is_none_is_the_end_and_names_the_command(receiver: Receiver) -> None:
    error = refused(sender(WebhookChannel, receiver), url=receiver.url, keys=("whsec_short",))
    assert error.permanent
    assert "`aura endpoints rotate desk`" in str(error)
    assert "whsec_short" not in str(error)
    assert receiver.arrived == []


# Apprise


def test_apprise_sends_to_a_service_that_it_knows(receiver: Receiver) -> None:
    # ntfy is one that takes the host from the URL
    url = f"ntfy://{receiver.host}/topic?mode=private"
    assert apprise.AppriseChannel().send(notice(url=url, text="Hello <b>\\n *there*")) == notice().id
    [arrived] = receiver.arrived
    assert b"Hello" in arrived.body
    assert "[Aura #17] VPN" in str(arrived)


def test_apprise_does_not_say_why_so_it_is_unsure(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.reply = lambda _: Reply(500)
    with pytest.raises(ChannelError) as caught:
        apprise.AppriseChannel().send(notice(url=f"ntfy://user:hunter2@{receiver.host}/topic?mode=private"))
    assert (caught.value.permanent, caught.value.unsure) == (False, True)
    assert "hunter2" not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    "url",
    [
        *(
            f"{scheme}://hunter2.example/hunter2"
            for scheme in ("json", "JSONS", "xml", "form", "forms", "syslog", "file")
        ),
        *("nonsense://hunter2", "hunter2", "", "slack://hunter2", "json://a, ntfy://hunter2/b"),
        "ntfy://hunter2/a, ntfy://hunter2/b",
    ],
)
def test_what_apprise_may_not_or_cannot_send_to_is_the_end(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for attempt in (lambda: apprise.check(url), lambda: apprise.AppriseChannel().send(notice(url=url))):
        with pytest.raises(ChannelError) as caught:
            attempt()
        assert caught.value.permanent
        assert "hunter2" not in str(caught.value) + caplog.text


def test_without_apprise_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(ChannelError, match=r"pip install 'aura-desk\[apprise\]'") as caught:
        apprise.check("ntfy://host/topic")
    assert caught.value.permanent


def test_the_console_twin_of_apprise_needs_no_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    apprise.check(CONSOLE)
    assert apprise.AppriseChannel().send(notice(url=CONSOLE)) == notice().id


# One slow receiver


def test_others_are_sent_while_one_hangs(receiver: Receiver) -> None:
    released, hanging = threading.Event(), Receiver()
    hanging.reply = lambda _: Reply() if released.wait(30) else Reply(0)
    done: list[str] = []
    hook = WebhookChannel([receiver.host, hanging.host])
    thread = threading.Thread(target=lambda: done.append(hook.send(notice(url=hanging.url))))
    thread.start()
    wait_until(lambda: hanging.arrived, 10, "nothing has arrived at the one that hangs")
    assert hook.send(notice(url=receiver.url)) == notice().id
    assert done == []
    released.set()
    thread.join(10)
    assert done == [notice().id]
    hanging.close()
