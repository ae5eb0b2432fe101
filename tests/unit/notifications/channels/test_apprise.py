"""The apprise transport."""

from __future__ import annotations

import logging

import pytest

from aura.notifications import ChannelError
from aura.notifications.channels import CONSOLE_URL, apprise
from tests.receiver import Receiver, Reply
from tests.unit.notifications.channels.helpers import message

# apprise imports a module that leaves Python
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")


def test_apprise_sends_to_a_known_service(receiver: Receiver) -> None:
    # ntfy is one that takes the host from the URL
    url = f"ntfy://{receiver.host}/topic?mode=private"
    assert apprise.AppriseChannel().send(message(url=url, text="Hello <b>\\n *there*")) == message().id
    [arrived] = receiver.arrived
    assert b"Hello" in arrived.body
    assert "[Aura #17] VPN" in str(arrived)


def test_a_failure_of_apprise_is_in_doubt(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.reply = lambda _: Reply(500)
    with pytest.raises(ChannelError) as caught:
        apprise.AppriseChannel().send(message(url=f"ntfy://user:hunter2@{receiver.host}/topic?mode=private"))
    assert (caught.value.permanent, caught.value.in_doubt) == (False, True)
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
        # apprise finds a URL within a text
        *(",json://hunter2/", "x json://hunter2:6379/", " json://hunter2", "json://hunter2 ", "a,b,xml://hunter2/"),
        *("x\tform://hunter2", "ntfy://a/b,json://hunter2/", ";json://hunter2", "rsyslog://hunter2", "Json://hunter2/"),
    ],
)
def test_a_refused_or_unknown_apprise_url_is_a_permanent_error(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for attempt in (lambda: apprise.check(url), lambda: apprise.AppriseChannel().send(message(url=url))):
        with pytest.raises(ChannelError) as caught:
            attempt()
        assert caught.value.permanent
        assert "hunter2" not in str(caught.value) + caplog.text


def test_without_apprise_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(ChannelError, match=r"pip install 'aura-desk\[apprise\]'") as caught:
        apprise.check("ntfy://host/topic")
    assert caught.value.permanent


def test_the_console_url_of_apprise_needs_no_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    apprise.check(CONSOLE_URL)
    assert apprise.AppriseChannel().send(message(url=CONSOLE_URL)) == message().id
