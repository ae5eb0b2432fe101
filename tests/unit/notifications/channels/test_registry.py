"""The registry of channels: every channel of the settings, made of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from actors import deliver
from aura.cli.endpoints import Kind
from aura.notifications import ChannelError, make_channel
from aura.notifications.channels.registry import CHANNEL_TYPES, check_endpoint
from aura.notifications.channels.slack import SlackChannel
from aura.notifications.channels.teams import TeamsChannel
from aura.notifications.channels.webhook import WebhookChannel
from aura.settings import CHANNELS, Settings
from tests.receiver import Receiver
from tests.unit.notifications.channels.helpers import message

KINDS = [SlackChannel, TeamsChannel, WebhookChannel]


def test_the_registry_holds_the_channels_of_the_settings() -> None:
    assert tuple(CHANNEL_TYPES) == CHANNELS
    assert tuple(deliver.ACTORS) == CHANNELS


def test_the_command_line_knows_every_channel_with_endpoints() -> None:
    with_endpoints = [name for name, entry in CHANNEL_TYPES.items() if entry.check_url is not None]
    assert list(Kind.__args__) == with_endpoints  # type: ignore[attr-defined]


def test_the_console_url_is_valid_for_every_channel() -> None:
    for name in CHANNEL_TYPES:
        check_endpoint(name, "console:", settings())


def test_channels_are_made_of_the_settings(receiver: Receiver) -> None:
    settings = Settings(_env_file=None, webhook_hosts=(receiver.host,))
    for kind in KINDS:
        made = make_channel(kind.name, settings)
        assert isinstance(made, kind)
        assert made.send(message(url=receiver.url)) == message().id


def settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **changes)


def test_mails_without_an_smtp_url_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_URL", raising=False)
    assert make_channel("email", settings()).name == "console"
    assert make_channel("email", settings(SMTP_URL="smtp://127.0.0.1:1025")).name == "email"


@pytest.mark.parametrize("name", ["in_app", "sms", "../email", "", "x" * 500])
def test_an_unknown_channel_is_a_permanent_error(name: str) -> None:
    with pytest.raises(ChannelError, match="unknown channel") as caught:
        make_channel(name, settings())
    assert caught.value.permanent
    assert len(str(caught.value)) < 120
