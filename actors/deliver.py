"""Deliveries: one actor and one queue a channel, so that a slow or dead one delays no other.

1. The channel's rate (AURA_CHANNEL_RATES) is kept by all workers together: a turn within a second is waited for here, else
   the queue pauses until it comes, and no attempt is spent.
2. A crash between sending and recording sends again, with the same id: at least once, and told apart (`Message-ID`,
   `webhook-id`).
3. On a channel of AURA_AT_MOST_ONCE_CHANNELS it does not. Before it is sent it is marked as sending; what is found so marked, or
   left without an answer, is unknown from then on, and a person decides (`aura notices resend`, `settle`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy.orm import Session

from aura.jobs import metrics
from aura.jobs.actor import JobResult, durable
from aura.jobs.one_by_one import OneByOne
from aura.notifications import Channel, ChannelError, OutboundMessage, RenderedMessage, as_html, channel
from aura.settings import Settings, get_settings
from db import channel_rates, endpoints, in_doubt, notifications, transaction
from db.database import after_commit
from db.endpoints import Reachable
from db.notifications import Loaded

logger = structlog.get_logger("aura.deliveries")

#: Seconds that a delivery waits in place for its channel's next turn.
SHORT_WAIT = 1.0
#: The other side may be away for hours; with pauses of up to ten minutes this is about six.
ATTEMPTS = 50
#: Milliseconds. A mail server may take minutes to answer, and a mail that is cut off there is sent twice; a POST ends
#: after half a minute by itself.
EMAIL_TIME_LIMIT, TIME_LIMIT = 600_000, 90_000
#: Most deliveries of one hint.
BATCH = 10


@dataclass(frozen=True, slots=True)
class Sent:
    """It is there, under the provider's id."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Nobody knows whether it left, and it is not sent again by itself."""


@dataclass(frozen=True, slots=True)
class Settled:
    """There is nothing to do: it was sent before, is folded into a digest, or waits for a person or its time."""


Outcome = Sent | InDoubt | Settled | ChannelError


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification with the endpoint that it goes to; e-mail has none."""

    notification: Loaded
    endpoint: Reachable | None = None


def load(session: Session, keys: Sequence[str]) -> Mapping[str, Delivery]:
    """Return what is to be delivered, by the notification's id."""
    found = notifications.load(session, keys)
    names = {each.recipient for each in found.values() if each.channel != "email"}
    there = endpoints.find(session, names) if names else {}
    return {key: Delivery(each, there.get(each.recipient)) for key, each in found.items()}


def save(session: Session, done: list[JobResult]) -> None:
    """Record what was sent, with the provider's id, and what nobody knows of."""
    counts = Counter((each.item.notification.channel, type(each.result).__name__.lower()) for each in done)
    after_commit(session, lambda: _count(counts))
    sent = [(each.item.notification.id, each.result.provider_id) for each in done if isinstance(each.result, Sent)]
    notifications.mark_sent(session, sent)
    lost = [each.item.notification.id for each in done if isinstance(each.result, InDoubt)]
    if lost:
        for key in in_doubt.mark_in_doubt(session, lost):
            logger.warning("nobody knows whether it left: `aura notices resend` or `settle`", notification=key)


def _count(counts: Counter[tuple[str, str]]) -> None:
    for labels, count in counts.items():
        metrics.NOTIFICATIONS.labels(*labels).inc(count)


#: Each is kept by itself, so that a crash repeats one at most; the console twin of e-mail can take many.
_OUTSIDE: dict[str, Any] = {"kind": OneByOne, "batch": BATCH}
_EMAIL: dict[str, Any] = {"time_limit": EMAIL_TIME_LIMIT}
if get_settings().smtp_url:
    _EMAIL |= {"bulkhead": Fraction(3, 8), **_OUTSIDE}
_ENDPOINT: dict[str, Any] = {"bulkhead": Fraction(1, 4), "time_limit": TIME_LIMIT, **_OUTSIDE}
_EACH: dict[str, Any] = {"load": load, "save": save, "max_attempts": ATTEMPTS}


@durable(queue_name="notify.email", **_EACH, **_EMAIL)
def email(batch: list[Delivery]) -> list[Outcome]:
    """Send each notification by e-mail; one that fails does not hold up the others."""
    return [deliver("email", each) for each in batch]


@durable(queue_name="notify.slack", **_EACH, **_ENDPOINT)
def slack(batch: list[Delivery]) -> list[Outcome]:
    """Post each notification to Slack."""
    return [deliver("slack", each) for each in batch]


@durable(queue_name="notify.teams", **_EACH, **_ENDPOINT)
def teams(batch: list[Delivery]) -> list[Outcome]:
    """Post each notification to Microsoft Teams."""
    return [deliver("teams", each) for each in batch]


@durable(queue_name="notify.webhook", **_EACH, **_ENDPOINT)
def webhook(batch: list[Delivery]) -> list[Outcome]:
    """Post each notification to a program."""
    return [deliver("webhook", each) for each in batch]


@durable(queue_name="notify.apprise", **_EACH, **_ENDPOINT)
def apprise(batch: list[Delivery]) -> list[Outcome]:
    """Send each notification to a service that apprise knows."""
    return [deliver("apprise", each) for each in batch]


def deliver(name: str, delivery: Delivery) -> Outcome:
    """Send one notification on the channel, and say what became of it."""
    settings, key = get_settings(), delivery.notification.id
    hold = name in settings.at_most_once_channels
    if delivery.notification.state == "sending" and hold:
        return InDoubt()
    if delivery.notification.state not in ("enqueued", "sending"):
        return Settled()
    try:
        notice = _notice(name, delivery, settings)
        _await_turn(name, settings)
    except ChannelError as error:
        return error
    if hold and not _mark(key):
        return Settled()
    try:
        return Sent(_channel(name, settings).send(notice))
    except ChannelError as error:
        if hold and error.unsure:
            return InDoubt()
        if hold:
            with transaction() as session:
                in_doubt.mark_unsent(session, key)
        return error


def _mark(key: str) -> bool:
    with transaction() as session:
        return in_doubt.mark_sending(session, key)


def _await_turn(name: str, settings: Settings) -> None:
    """Wait for the channel's next turn. Raises ChannelError, which says when it comes, if that is not soon."""
    rate = dict(settings.channel_rates).get(name)
    if rate is None:
        return
    with transaction() as session:
        taken, seconds = channel_rates.turn(session, name, rate, SHORT_WAIT)
    if not taken:
        said = f"{name} takes {rate:g} a second (AURA_CHANNEL_RATES)"
        raise ChannelError(said, retry_after=seconds, counts_attempt=False)
    time.sleep(seconds)


@lru_cache(maxsize=16)
def _channel(name: str, settings: Settings) -> Channel:
    return channel(name, settings)


def _notice(name: str, delivery: Delivery, settings: Settings) -> OutboundMessage:
    told, endpoint = delivery.notification, delivery.endpoint
    if name != "email" and (endpoint is None or endpoint.channel != name):
        fix = f"aura endpoints add {told.recipient} {name}"
        raise ChannelError(f"there is no {name} endpoint {told.recipient!r}: {fix}", permanent=True)
    link = f"{settings.base_url}/tickets/{told.ticket_id}" if told.ticket_id else ""
    html = ""
    if name == "email":
        # no other channel shows a page, and the table need not hold what can be made of the text
        html = as_html(
            RenderedMessage(told.subject, told.body),
            told.data.get("language", "en"),
            link or f"{settings.base_url}/tickets",
        )
    return OutboundMessage(
        id=told.id,
        ticket_id=told.ticket_id or 0,
        recipient=told.recipient,
        subject=told.subject,
        text=told.body,
        html=html,
        event=told.event,
        data=told.data,
        created_at=told.created_at,
        link=link,
        url=endpoint.url if endpoint else "",
        keys=endpoint.keys if endpoint else (),
    )
