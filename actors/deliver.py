"""Deliveries: one actor and one queue for each channel, so a slow channel delays no other.

1. All workers share the rate of a channel (AURA_CHANNEL_RATES). A delivery waits up to a second for its turn; otherwise the
   queue pauses until then, which counts no attempt.
2. After a crash between sending and saving, a message is sent again with the same id (`Message-ID`, `webhook-id`): at least
   once.
3. On the channels of AURA_AT_MOST_ONCE_CHANNELS it is not. A notification is marked as `sending` before it is sent; one that
   is found in this state, or gets no answer, becomes `in_doubt`, and a person decides whether to resend it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy.orm import Session

from actors import metrics
from aura.jobs.actor import DurableActor, JobResult, durable
from aura.jobs.attempt import Attempt
from aura.jobs.one_by_one import OneByOne
from aura.jobs.ttl_cache import TTLCache
from aura.notifications import (
    DIGEST,
    PUBLIC_REPLY,
    Channel,
    ChannelError,
    OutboundMessage,
    RenderedMessage,
    as_html,
    incident_link,
    make_channel,
    unsubscribe,
)
from aura.notifications.addresses import comparable
from aura.notifications.channels.registry import CHANNEL_TYPES, ChannelType
from aura.notifications.reply_tokens import make_token
from aura.notifications.subscriptions import INCIDENT_PROPOSED
from aura.notifications.unsubscribe import Unsubscribe
from aura.settings import Settings, get_settings
from db import channel_rates, endpoints, in_doubt, inbound_mails, notifications, signing_keys, transaction
from db.database import after_commit
from db.endpoints import EndpointAddress
from db.notifications import Loaded

logger = structlog.get_logger("aura.deliveries")

#: Seconds that a delivery waits for its channel's next turn before the queue pauses.
TURN_WAIT = 1.0
#: Attempts of a delivery: with pauses of up to ten minutes, about six hours.
ATTEMPTS = 50
#: Deliveries of one hint.
BATCH = 10
#: The keys of unsubscribe links and of reply tokens, read once a minute.
unsubscribe_key = TTLCache(60.0, lambda session: signing_keys.get(session, signing_keys.UNSUBSCRIBE))
reply_key = TTLCache(60.0, lambda session: signing_keys.get(session, signing_keys.REPLY))


@dataclass(frozen=True, slots=True)
class Sent:
    """The message was sent; `provider_id` is its id at the provider."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The message may have been sent, and is not sent again without a person's decision."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing was sent: the notification is sent, delayed, digested or in doubt already."""


Outcome = Sent | InDoubt | Settled | ChannelError


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification with its endpoint; None for an e-mail, or for an endpoint that does not exist."""

    notification: Loaded
    endpoint: EndpointAddress | None = None
    #: Message-IDs of the mails that an e-mail answers, the oldest first.
    references: tuple[str, ...] = ()
    #: The key of its unsubscribe link; empty for a mail without one.
    key: bytes = field(default=b"", repr=False)
    #: The token of replies to an e-mail about a ticket; else empty.
    reply_token: str = field(default="", repr=False)


def load(session: Session, keys: Sequence[str]) -> Mapping[str, Delivery]:
    """Return the deliveries by the notification's id."""
    loaded = notifications.load(session, keys)
    names = {each.recipient for each in loaded.values() if each.channel != "email"}
    by_name = endpoints.find(session, names) if names else {}
    mails = [each for each in loaded.values() if each.channel == "email"]
    threads = _threads(session, mails)
    secret = unsubscribe_key(session) if any(_unsubscribed(each) for each in mails) else b""
    about_tickets = {each.id: each.ticket_id for each in mails if each.ticket_id is not None}
    signing = reply_key(session) if about_tickets else b""
    return {
        key: Delivery(
            each,
            by_name.get(each.recipient),
            threads.get(key, ()),
            secret if _unsubscribed(each) else b"",
            make_token(signing, about_tickets[each.id], each.recipient) if each.id in about_tickets else "",
        )
        for key, each in loaded.items()
    }


def _threads(session: Session, mails: Sequence[Loaded]) -> dict[str, tuple[str, ...]]:
    """Return the mails that each notification answers: those of the requester and of its recipient, by its id.

    Agents get none: their notifications are a conversation of their own.
    """
    outside = [each for each in mails if each.ticket_id is not None and each.role in PUBLIC_REPLY]
    received = inbound_mails.of_threads(session, {each.ticket_id for each in outside if each.ticket_id is not None})
    return {
        each.id: tuple(
            mail.message_id
            for mail in received
            if mail.ticket_id == each.ticket_id
            and comparable(mail.sender) in (comparable(parseaddr(mail.requester)[1]), comparable(each.recipient))
            and not mail.message_id.startswith(inbound_mails.DIGESTS)  # a mail without a usable Message-ID
        )
        for each in outside
    }


def _unsubscribed(notification: Loaded) -> Unsubscribe | None:
    """Return what the unsubscribe link of a notification ends; None for a mail without one."""
    if notification.event == DIGEST:
        return Unsubscribe(notification.recipient)
    if notification.role == "cc" and notification.ticket_id:
        return Unsubscribe(notification.recipient, notification.ticket_id)
    return None


def save(session: Session, done: list[JobResult]) -> None:
    """Save which notifications were sent, and which are in doubt."""
    sent = [(each.item.notification.id, each.result.provider_id) for each in done if isinstance(each.result, Sent)]
    notifications.mark_sent(session, sent)
    doubtful = [each.item.notification.id for each in done if isinstance(each.result, InDoubt)]
    if doubtful:
        for key in in_doubt.mark_in_doubt(session, doubtful):
            logger.warning("delivery in doubt", notification=key)
    outcomes = Counter((each.item.notification.channel, _OUTCOMES[type(each.result)]) for each in done)
    after_commit(session, lambda: _count(outcomes))


_OUTCOMES: dict[type, str] = {Sent: "sent", InDoubt: "in_doubt", Settled: "settled"}


def _count(outcomes: Counter[tuple[str, str]]) -> None:
    for labels, count in outcomes.items():
        metrics.NOTIFICATIONS.labels(*labels).inc(count)


# -- the actors -------------------------------------------------------------------------------------------------------


class DeliveryActor(OneByOne):
    """Saves each delivery by itself, so that a crash repeats one message at most; logged messages are saved in batches."""

    channel: ChannelType

    def perform(self, attempt: Attempt, job_ids: Sequence[int]) -> None:
        """Work off one hint: job by job when the channel sends, else as one batch."""
        if self.channel.sends(get_settings()):
            super().perform(attempt, job_ids)
        else:
            DurableActor.perform(self, attempt, job_ids)


def _declare(channel: ChannelType) -> DurableActor:
    """Declare the actor of a channel; its options depend on the settings, which are read when it works."""

    def send(batch: list[Delivery]) -> list[Outcome]:
        return [deliver(channel.name, each) for each in batch]

    send.__doc__ = f"Send each notification by {channel.name}; a failure of one does not affect the others."
    actor = durable(
        actor_name=channel.name,
        queue_name=f"notify.{channel.name}",
        kind=DeliveryActor,
        load=load,
        save=save,
        max_attempts=ATTEMPTS,
        time_limit=channel.time_limit,
        batch=_when_sending(channel, BATCH),
        bulkhead=_when_sending(channel, channel.bulkhead),
    )(send)
    assert isinstance(actor, DeliveryActor)
    actor.channel = channel
    return actor


def _when_sending(channel: ChannelType, value: Any) -> Callable[[Settings], Any]:
    return lambda settings: value if channel.sends(settings) else None


#: The actor of each channel, by its name.
ACTORS: dict[str, DurableActor] = {name: _declare(channel) for name, channel in CHANNEL_TYPES.items()}


# -- one delivery -----------------------------------------------------------------------------------------------------


def deliver(name: str, delivery: Delivery) -> Outcome:
    """Send one notification on the channel and return the outcome."""
    settings, notification = get_settings(), delivery.notification
    at_most_once = name in settings.at_most_once_channels
    if notification.state == "sending" and at_most_once:
        return InDoubt()
    if notification.state not in ("enqueued", "sending"):
        return Settled()
    try:
        message = _message(name, delivery, settings)
        _wait_for_turn(name, settings)
    except ChannelError as error:
        return error
    if at_most_once and not _mark_sending(notification.id):
        return Settled()
    try:
        return Sent(_channel(name, settings).send(message))
    except ChannelError as error:
        if at_most_once and error.in_doubt:
            return InDoubt()
        if at_most_once:
            with transaction() as session:
                in_doubt.unmark_sending(session, notification.id)
        return error


def _mark_sending(notification_id: str) -> bool:
    with transaction() as session:
        return in_doubt.mark_sending(session, notification_id)


def _wait_for_turn(name: str, settings: Settings) -> None:
    """Wait for the channel's next turn. Raises ChannelError with `retry_after` when it is more than TURN_WAIT away."""
    rate = dict(settings.channel_rates).get(name)
    if rate is None:
        return
    with transaction() as session:
        taken, seconds = channel_rates.turn(session, name, rate, TURN_WAIT)
    if not taken:
        message = f"{name} is limited to {rate:g} messages a second (AURA_CHANNEL_RATES)"
        raise ChannelError(message, retry_after=seconds, counts_attempt=False)
    time.sleep(seconds)


@lru_cache(maxsize=16)
def _channel(name: str, settings: Settings) -> Channel:
    return make_channel(name, settings)


def _message(name: str, delivery: Delivery, settings: Settings) -> OutboundMessage:
    notification, endpoint = delivery.notification, delivery.endpoint
    if name != "email" and (endpoint is None or endpoint.channel != name):
        raise ChannelError(f"{name} endpoint {notification.recipient!r} does not exist", permanent=True)
    link = f"{settings.base_url}/tickets/{notification.ticket_id}" if notification.ticket_id else ""
    if notification.event == INCIDENT_PROPOSED:
        link = incident_link(settings.base_url, int(notification.data["incident"]))
    html, body, url = "", notification.body, ""
    if name == "email":
        language, what = notification.data.get("language", "en"), _unsubscribed(notification)
        if what is not None and delivery.key:
            url = f"{settings.base_url}{unsubscribe.PATH}/{unsubscribe.make_token(delivery.key, what)}"
            body += unsubscribe.footer(language, what, url)
        html = as_html(RenderedMessage(notification.subject, body), language)
    return OutboundMessage(
        id=notification.id,
        ticket_id=notification.ticket_id or 0,
        recipient=notification.recipient,
        subject=notification.subject,
        text=body,
        html=html,
        event=notification.event,
        data=notification.data,
        created_at=notification.created_at,
        link=link,
        references=delivery.references,
        unsubscribe=url,
        reply_token=delivery.reply_token,
        url=endpoint.url if endpoint else "",
        keys=endpoint.keys if endpoint else (),
    )
