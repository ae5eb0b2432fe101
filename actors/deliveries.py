"""Deliveries: one actor and one queue a channel, so that a slow or dead one delays no other.

A crash between sending and recording sends again, with the same `Message-ID`: at least once, and told apart.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy.orm import Session

from actors.durable import Done, durable
from db import notifications
from db.notifications import Loaded
from notices import Channel, ChannelError, Notice, channel
from settings import Settings, get_settings


def save_sent(session: Session, done: list[Done]) -> None:
    """Record what was sent, with the provider's id."""
    notifications.mark_sent(session, [(each.item.id, each.result) for each in done])


#: A real server gets one mail a job, so that a crash repeats one mail at most; the console twin can take many.
EMAIL_BATCH = 1 if get_settings().smtp_url else get_settings().batch


#: A mail server may be away for hours; with pauses of up to ten minutes this is about six.
EMAIL_ATTEMPTS = 50
#: Milliseconds; a server may take minutes to answer, and a mail that is cut off there is sent twice.
EMAIL_TIME_LIMIT = 600_000


@durable(
    queue_name="notify.email",
    bulkhead=get_settings().smtp_url is not None,
    load=notifications.load,
    save=save_sent,
    batch=EMAIL_BATCH,
    max_attempts=EMAIL_ATTEMPTS,
    time_limit=EMAIL_TIME_LIMIT,
)
def email(batch: list[Loaded]) -> list[str | ChannelError]:
    """Send each notification by e-mail; one that fails does not hold up the others."""
    outlet = _channel("email", get_settings())
    results: list[str | ChannelError] = []
    for notification in batch:
        if notification.state == "sent":
            results.append(notification.provider_id)
            continue
        try:
            results.append(outlet.send(_notice(notification)))
        except ChannelError as error:
            results.append(error)
    return results


@lru_cache(maxsize=8)
def _channel(name: str, settings: Settings) -> Channel:
    return channel(name, settings)


def _notice(notification: Loaded) -> Notice:
    return Notice(
        id=notification.id,
        ticket_id=notification.ticket_id or 0,
        recipient=notification.recipient,
        subject=notification.subject,
        text=notification.body,
        html=notification.html,
    )
