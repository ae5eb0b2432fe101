"""Digest policy: which notifications are delayed until when, and which of the due ones are delivered now.

Pure functions on plain values: no database, no current time, no settings. A critical notification and one in the inbox are never
delayed. The others are delayed by the recipient's quiet hours and digest, and by a storm: more notifications to one
recipient within a minute than the limit. Quiet hours and digests never delay all notifications of an urgent ticket to the
desk: one of them is delivered at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from aura.notifications.decide import Notification
from aura.notifications.quiet_hours import URGENT_EVENTS, Preference, delay_until, quiet_until
from aura.notifications.recipients import DESK, URGENT

#: Priority of tickets whose notifications are never delayed.
CRITICAL = "critical"
#: Events that people do not wait for: the rule for urgent tickets does not hold for them.
DELAYABLE_EVENTS = ("ticket.commented", "ticket.warned", "ticket.resolved")


class HasEvent(Protocol):
    """A delayed notification, as far as the policy needs it."""

    @property
    def event(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def data(self) -> Mapping[str, Any]: ...


T = TypeVar("T", bound=HasEvent)


def can_be_delayed(notification: Notification) -> bool:
    """Return whether quiet hours, a digest or a storm may delay the notification."""
    return notification.channel != "in_app" and notification.priority != CRITICAL


def delays(
    notifications: Sequence[Notification],
    preferences: Mapping[str, Preference],
    recent: Mapping[tuple[str, str], int],
    limit: int,
    now: datetime,
) -> dict[Notification, datetime]:
    """Return until when each delayed notification is delayed; the others are delivered at once.

    `recent` counts the notifications of the last minute by (channel, recipient). More than `limit` of them are a storm,
    which ends with the minute; 0 is no limit.
    """
    counts = Counter(recent)
    delayed: dict[Notification, datetime] = {}
    preferred = {
        each: preferred_delay(each.event, preferences.get(each.recipient.lower()), now)
        for each in filter(can_be_delayed, notifications)
    }
    at_once = _at_once(notifications, preferred)
    for each, until in preferred.items():
        if each in at_once:
            continue
        address = (each.channel, each.recipient)
        if until is None and limit:
            counts[address] += 1
            until = end_of_minute(now) if counts[address] > limit else None
        if until is not None:
            delayed[each] = until
    return delayed


def _at_once(
    notifications: Sequence[Notification], preferred: Mapping[Notification, datetime | None]
) -> set[Notification]:
    """Return one notification to the desk, rather the team's, of each urgent ticket that would be delayed for everybody there."""
    desk: defaultdict[tuple[int | None, str], list[Notification]] = defaultdict(list)
    for each in notifications:
        if each.role in DESK and each.priority in URGENT and each.event not in DELAYABLE_EVENTS:
            desk[each.ticket_id, each.event].append(each)
    return {
        min(group, key=lambda each: each.role != "team")
        for group in desk.values()
        if all(preferred.get(each) is not None for each in group)
    }


def preferred_delay(event: str, preference: Preference | None, now: datetime) -> datetime | None:
    """Return until when the recipient's preference delays an event of this moment; None when it does not."""
    return None if preference is None or event in URGENT_EVENTS else delay_until(preference, now)


def end_of_minute(now: datetime) -> datetime:
    """Return the moment at which the next minute begins."""
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def split_due(
    due: Sequence[T], preference: Preference | None, now: datetime
) -> tuple[list[T], list[T], datetime | None]:
    """Return which due notifications are delivered now, which are delayed again, and until when.

    Due notifications are delayed again when the worker reaches them within the recipient's quiet hours, but not those of an
    urgent ticket to the desk: a storm that began before the quiet hours delayed them.
    """
    until = quiet_until(preference, now) if preference else None
    deliver = [each for each in due if until is None or _ends_now(each)]
    delay = [each for each in due if until is not None and not _ends_now(each)]
    return deliver, delay, until


def _ends_now(due: HasEvent) -> bool:
    urgent = due.data.get("priority") in URGENT and due.role in DESK and due.event not in DELAYABLE_EVENTS
    return urgent or due.event in URGENT_EVENTS


def digest_language(languages: Sequence[str], preference: Preference | None) -> str:
    """Return the language of a digest: the recipient's preference, or the most frequent language of its notifications."""
    preferred = preference.language if preference else ""
    return preferred or Counter(languages).most_common(1)[0][0]
