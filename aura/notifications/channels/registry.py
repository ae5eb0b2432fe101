"""The registry of channels: the one place that a new channel is added to, besides `aura.settings.CHANNELS`.

An entry says how the channel is made of the settings, how a URL for it is checked, and how its deliveries are run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from aura.notifications import safe_http
from aura.notifications.channels import apprise
from aura.notifications.channels.apprise import AppriseChannel
from aura.notifications.channels.base import CONSOLE_URL, Channel, ChannelError
from aura.notifications.channels.console import ConsoleChannel
from aura.notifications.channels.email import EmailChannel
from aura.notifications.channels.slack import SlackChannel
from aura.notifications.channels.teams import TeamsChannel
from aura.notifications.channels.webhook import WebhookChannel
from aura.oauth import token_source
from aura.settings import Settings

#: Milliseconds of one delivery. A mail server may take minutes to answer, and a mail that is cut off is sent twice; a POST
#: ends after half a minute.
EMAIL_TIME_LIMIT, POST_TIME_LIMIT = 600_000, 90_000


@dataclass(frozen=True, slots=True)
class ChannelType:
    """One channel."""

    name: str
    make: Callable[[Settings], Channel]
    #: Raises InvalidInput, ChannelError or RequestFailed for a URL that cannot be used; None for a channel without endpoints.
    check_url: Callable[[str, Settings], object] | None
    #: Milliseconds of one delivery.
    time_limit: int = POST_TIME_LIMIT
    #: Share of a worker's threads that deliveries may hold.
    bulkhead: Fraction = Fraction(1, 4)
    #: Whether the channel sends to another system; one that only logs needs neither bulkhead nor single deliveries.
    sends: Callable[[Settings], bool] = lambda settings: True


def make_email(settings: Settings) -> Channel:
    """Return the e-mail channel; without SMTP_URL its messages are logged. Raises SettingsError."""
    if settings.smtp_url is None:
        return ConsoleChannel()
    provider = settings.smtp_oauth
    tokens = None if provider is None else (lambda user: token_source(provider, user, settings))
    url, plus_addresses = settings.smtp_url.get_secret_value(), settings.mail_plus_addresses
    return EmailChannel(url, settings.mail_from, tokens=tokens, plus_addresses=plus_addresses)


def check_web_address(url: str, settings: Settings) -> None:
    """Check a URL against the SSRF guard. Raises ForbiddenAddress, RequestFailed."""
    safe_http.reachable(url, settings.webhook_hosts)


CHANNEL_TYPES: dict[str, ChannelType] = {
    entry.name: entry
    for entry in (
        ChannelType(
            "email",
            make_email,
            check_url=None,
            time_limit=EMAIL_TIME_LIMIT,
            bulkhead=Fraction(3, 8),
            sends=lambda settings: settings.smtp_url is not None,
        ),
        ChannelType("slack", lambda settings: SlackChannel(settings.webhook_hosts), check_web_address),
        ChannelType("teams", lambda settings: TeamsChannel(settings.webhook_hosts), check_web_address),
        ChannelType("webhook", lambda settings: WebhookChannel(settings.webhook_hosts), check_web_address),
        ChannelType("apprise", lambda settings: AppriseChannel(), lambda url, settings: apprise.check(url)),
    )
}


def make_channel(name: str, settings: Settings) -> Channel:
    """Return the channel of that name.

    Raises ChannelError (permanent) for an unknown name, SettingsError when SMTP_URL or MAIL_FROM cannot be used.
    """
    entry = CHANNEL_TYPES.get(name)
    if entry is None:
        raise ChannelError(
            f"unknown channel {name[:30]!r}; the channels are {', '.join(CHANNEL_TYPES)}", permanent=True
        )
    return entry.make(settings)


def check_endpoint(channel: str, url: str, settings: Settings) -> None:
    """Check the URL of an endpoint of the channel. Raises ForbiddenAddress, ChannelError or RequestFailed."""
    check_url = CHANNEL_TYPES[channel].check_url
    if check_url is not None and url != CONSOLE_URL:
        check_url(url, settings)
