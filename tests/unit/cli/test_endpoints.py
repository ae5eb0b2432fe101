"""`aura endpoints`: a secret is shown once, and every error names the fix."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aura.cli.endpoints import redacted
from aura.notifications.signatures import key_of, verify
from aura.settings import Settings
from db import endpoints, reading, subscriptions, transaction
from tests.commands import Result, Run
from tests.receiver import Receiver, Reply

# apprise imports a module that leaves Python
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

SLACK = "https://93.184.215.14/services/T0/B0/hunter2"
Add = Callable[..., Result]


@pytest.fixture
def add(sqlite: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> Add:
    """Return a function that adds an endpoint with its URL on stdin, as it should be."""

    def add(name: str, channel: str, url: str, *options: str) -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO(url + "\n"))
        return run("endpoints", "add", name, channel, *options)

    return add


@pytest.fixture
def receiver(sqlite: str, configure: Callable[..., Settings]) -> Iterator[Receiver]:
    with Receiver() as receiver:
        configure(AURA_WEBHOOK_HOSTS=receiver.host)
        yield receiver


def stored(name: str) -> endpoints.EndpointAddress:
    with reading() as session:
        return endpoints.get(session, name)


def test_a_url_is_read_from_stdin_and_never_shown(add: Add, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    results = [add("desk", "slack", SLACK), run("endpoints", "list"), run("endpoints", "list", "--format", "json")]
    assert results[0].out == "desk: slack to https://93.184.215.14/...\n"
    assert results[2].json() == [{"name": "desk", "channel": "slack", "url": "https://93.184.215.14/...", "keys": 0}]
    assert stored("desk").url == SLACK
    assert "hunter2" not in caplog.text + "".join(each.out + each.err for each in results) + repr(stored("desk"))


def test_a_url_is_read_from_a_prompt_without_echo(sqlite: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda text, **how: asked.append((text, how)) or SLACK)
    assert run("endpoints", "add", "desk", "slack").code == 0
    assert asked == [("URL", {"hide_input": True})]


def test_the_key_of_a_webhook_is_printed_once(add: Add, run: Run) -> None:
    added = add("crm", "webhook", SLACK, "--format", "json").json()
    assert len(key_of(added["secret"])) == 32
    assert stored("crm").keys == (added["secret"],)
    for result in (run("endpoints", "list"), run("endpoints", "list", "--format", "json")):
        assert added["secret"] not in result.out + result.err
    words = add("erp", "webhook", SLACK).out.splitlines()
    assert words == [
        "erp: webhook to https://93.184.215.14/...",
        "The receiver verifies the signature with this key, shown only once:",
        stored("erp").keys[0],
    ]


def test_a_key_is_rotated_in_two_steps(add: Add, run: Run) -> None:
    first = add("crm", "webhook", SLACK, "--format", "json").json()["secret"]
    refused = run("endpoints", "rotate", "crm", "--drop-old")
    assert (refused.code, stored("crm").keys) == (1, (first,))
    assert "`aura endpoints rotate crm` creates a second one" in refused.err
    rotated = run("endpoints", "rotate", "crm")
    second = rotated.out.splitlines()[-1]
    assert rotated.out.startswith("crm: two keys sign\n")
    assert first not in rotated.out
    assert stored("crm").keys == (second, first)
    # one more leaves two: the oldest signs no more
    third = run("endpoints", "rotate", "crm", "--format", "json").json()["secret"]
    assert stored("crm").keys == (third, second)
    dropped = run("endpoints", "rotate", "crm", "--drop-old")
    assert dropped.out == "crm: the old key is removed\n"
    assert stored("crm").keys == (third,)


def test_an_existing_endpoint_is_replaced_with_the_option_only(add: Add) -> None:
    key = add("crm", "webhook", SLACK, "--format", "json").json()["secret"]
    refused = add("crm", "webhook", SLACK + "/other")
    assert refused.code == 1
    assert "endpoint 'crm' exists: choose another name, or change its URL with --replace" in refused.err
    assert stored("crm").url == SLACK
    # with --replace the URL is another one, and the keys stay
    assert add("crm", "webhook", SLACK + "/other", "--replace").code == 0
    assert (stored("crm").url, stored("crm").keys) == (SLACK + "/other", (key,))
    assert "endpoint crm is no slack endpoint: remove it first" in add("crm", "slack", SLACK, "--replace").err
    assert "endpoint 'nobody' does not exist" in add("nobody", "slack", SLACK, "--replace").err


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/hunter2", "only https:// addresses are allowed"),
        ("https://127.0.0.1/hunter2", "not a public address"),
        ("https://169.254.169.254/hunter2", "not a public address"),
        ("https://localhost/hunter2", "belongs to a private network"),
        ("https://user:hunter2@example.com/", "must hold no user and no password"),
        ("https://example.com:22/hunter2", "only the ports 443 and 8443"),
        ("hunter2", "only https:// addresses are allowed"),
        ("https://exämple.com/hunter2", "write the address in ASCII"),
        ("", "the URL is missing: write it to stdin or into the prompt"),
        ("   ", "the URL is missing"),
    ],
)
@pytest.mark.parametrize("channel", ["slack", "teams", "webhook"])
def test_a_forbidden_url_is_refused(url: str, says: str, channel: str, add: Add, run: Run) -> None:
    refused = add("desk", channel, url)
    assert refused.code == 1
    assert says in refused.err
    assert "hunter2" not in refused.out + refused.err
    assert run("endpoints", "list", "--format", "json").json() == []
    if url.startswith("http"):
        assert "ASCII" in refused.err or "AURA_WEBHOOK_HOSTS" in refused.err


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "é", "x" * 81, "a\n", "../a"])
def test_an_invalid_name_is_refused(name: str, add: Add, run: Run) -> None:
    assert add("--" if name == "-x" else name, "slack", SLACK).code != 0
    assert run("endpoints", "list", "--format", "json").json() == []


def test_an_apprise_url_is_checked_by_apprise(add: Add, run: Run) -> None:
    assert add("pager", "apprise", "ntfy://user:hunter2@host/topic").out == "pager: apprise to ntfy:///...\n"
    assert "use the webhook channel" in add("x", "apprise", "json://hunter2/a").err
    refused = add("y", "apprise", "nonsense://hunter2")
    assert "apprise does not know this URL: see https://appriseit.com" in refused.err
    assert "hunter2" not in refused.err
    assert "has no signing key: its URL is the secret" in run("endpoints", "rotate", "pager").err


def test_a_test_message_is_sent_at_once_and_signed(receiver: Receiver, add: Add, run: Run) -> None:
    key = add("crm", "webhook", f"{receiver.url}/in", "--format", "json").json()["secret"]
    tested = run("endpoints", "test", "crm")
    [arrived] = receiver.arrived
    message_id = verify([key], arrived.headers, arrived.body)
    assert tested.out == f"crm: sent, with the id {message_id}\n"
    receiver.reply = lambda _: Reply(404, body=b"no such hook")
    refused = run("endpoints", "test", "crm")
    assert (refused.code, refused.out) == (1, "")
    assert "endpoint crm answered 404: no such hook" in refused.err
    receiver.reply = lambda _: Reply(0)
    assert "endpoint crm: 127.0.0.1: " in run("endpoints", "test", "crm").err


def test_the_url_console_sends_nothing(add: Add, run: Run) -> None:
    assert add("desk", "teams", "console:").out == "desk: teams to console:\n"
    assert run("endpoints", "test", "desk").code == 0


def test_removing_an_endpoint_counts_its_subscriptions(add: Add, run: Run) -> None:
    add("desk", "slack", SLACK)
    wanted = {"recipient": "desk", "channel": "slack", "event": "*", "category": "", "priority": ""}
    with transaction() as session:
        subscriptions.add(session, [wanted | {"department": "", "team": ""}])
    removed = run("endpoints", "remove", "desk")
    assert removed.out == "desk: removed\n"
    assert "1 subscriptions still name the endpoint; their notifications become dead letters." in removed.err
    again = run("endpoints", "remove", "desk")
    assert (again.code, again.out) == (1, "")
    assert "endpoint 'desk' does not exist" in again.err
    assert run("endpoints", "list").err.startswith("No endpoints. Add one: aura endpoints add NAME slack")


@pytest.mark.parametrize("command", ["rotate", "test", "remove"])
def test_an_unknown_endpoint_is_refused(command: str, sqlite: str, run: Run) -> None:
    refused = run("endpoints", command, "nobody")
    assert refused.code == 1
    assert "endpoint 'nobody' does not exist" in refused.err


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T/B/x", "https://hooks.slack.com/..."),
        ("https://user:hunter2@host:8443/x?y#z", "https://host:8443/..."),
        ("https://host?hunter2", "https://host/..."),
        ("tgram://hunter2/x", "tgram:///..."),
        ("console:", "console:"),
    ],
)
def test_a_redacted_url_shows_the_host_only(url: str, shown: str) -> None:
    assert redacted(url) == shown
