"""Digest policy: delays by quiet hours, digests and storms, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from aura.notifications import Preference, digest_policy
from aura.notifications.decide import Notification

NOW = datetime(2026, 6, 1, 12, 30, 15, tzinfo=UTC)
END_OF_MINUTE = datetime(2026, 6, 1, 12, 31, tzinfo=UTC)
NOTIFICATION = Notification(17, "ticket.warned", "email", "Ada@example.com", "subscriber", "en", "medium", "key")
QUIET = Preference(quiet_from="12:00", quiet_to="14:00")
HOURLY = Preference(digest="hourly")


def delays(
    notifications: list[Notification], preference: Preference | None = None, recent: int = 0, limit: int = 0
) -> list[datetime]:
    preferences = {"ada@example.com": preference} if preference else {}
    counts = {("email", "Ada@example.com"): recent}
    return list(digest_policy.delays(notifications, preferences, counts, limit, NOW).values())


DELAYED = {
    "quiet hours": (QUIET, NOW.replace(hour=14, minute=0, second=0)),
    "an hourly digest": (HOURLY, NOW.replace(hour=13, minute=0, second=0)),
    "a digest in quiet hours": (replace(QUIET, digest="hourly"), NOW.replace(hour=14, minute=0, second=0)),
}


@pytest.mark.parametrize(("preference", "until"), DELAYED.values(), ids=DELAYED)
def test_a_preference_delays_a_notification(preference: Preference, until: datetime):
    assert delays([NOTIFICATION], preference) == [until]


IMMEDIATE = {
    "no preference": (NOTIFICATION, None),
    "other quiet hours": (NOTIFICATION, Preference(quiet_from="22:00", quiet_to="07:00")),
    "an escalation": (replace(NOTIFICATION, event="ticket.escalated"), QUIET),
    "a critical ticket": (replace(NOTIFICATION, priority="critical"), QUIET),
    "the inbox": (replace(NOTIFICATION, channel="in_app"), QUIET),
    "another recipient": (replace(NOTIFICATION, recipient="eve@example.com"), QUIET),
}


@pytest.mark.parametrize(("notification", "preference"), IMMEDIATE.values(), ids=IMMEDIATE)
def test_a_notification_is_delivered_at_once(notification: Notification, preference: Preference | None):
    assert delays([notification], preference) == []


@pytest.mark.parametrize(
    ("recent", "limit", "count", "delayed"),
    [(0, 3, 3, 0), (0, 3, 5, 2), (3, 3, 2, 2), (2, 3, 2, 1), (100, 0, 5, 0)],
)
def test_a_storm_delays_the_notifications_above_the_limit(recent: int, limit: int, count: int, delayed: int):
    notifications = [replace(NOTIFICATION, dedupe_key=str(number)) for number in range(count)]

    assert delays(notifications, recent=recent, limit=limit) == [END_OF_MINUTE] * delayed


def test_a_storm_counts_only_immediate_deliveries():
    critical = [replace(NOTIFICATION, priority="critical", dedupe_key=str(number)) for number in range(5)]

    assert delays([*critical, NOTIFICATION], limit=1) == []


def test_a_storm_ends_with_the_minute():
    last = datetime(2026, 6, 1, 12, 59, 59, 999_999, tzinfo=UTC)

    assert digest_policy.end_of_minute(last) == datetime(2026, 6, 1, 13, tzinfo=UTC)


@dataclass(frozen=True)
class Due:
    event: str
    role: str = "agent"
    data: Mapping[str, Any] = field(default_factory=dict)


WARNED, ESCALATED = Due("ticket.warned"), Due("ticket.escalated")


@pytest.mark.parametrize(
    ("preference", "deliver", "delay", "until"),
    [
        (None, [WARNED, ESCALATED], [], None),
        (HOURLY, [WARNED, ESCALATED], [], None),
        (QUIET, [ESCALATED], [WARNED], NOW.replace(hour=14, minute=0, second=0)),
    ],
)
def test_quiet_hours_delay_due_notifications_again(
    preference: Preference | None, deliver: list[Due], delay: list[Due], until: datetime | None
):
    assert digest_policy.split_due([WARNED, ESCALATED], preference, NOW) == (deliver, delay, until)


@pytest.mark.parametrize(
    ("languages", "preference", "expected"),
    [(["de", "en", "de"], None, "de"), (["de", "de"], Preference(language="en"), "en"), (["en"], Preference(), "en")],
)
def test_the_language_of_a_digest(languages: list[str], preference: Preference | None, expected: str):
    assert digest_policy.digest_language(languages, preference) == expected


HIGH = replace(NOTIFICATION, event="ticket.classified", priority="high", role="team", recipient="desk@example.com")
AGENT = replace(HIGH, role="agent", recipient="Ada@example.com", dedupe_key="agent")


def at_once(*notifications: Notification) -> list[Notification]:
    preferences = {"ada@example.com": QUIET, "desk@example.com": QUIET}
    delayed = digest_policy.delays(notifications, preferences, {}, 0, NOW)
    return [each for each in notifications if each not in delayed]


def test_quiet_hours_never_delay_an_urgent_ticket_for_the_whole_desk():
    assert at_once(HIGH) == [HIGH]
    assert at_once(AGENT, HIGH) == [HIGH]
    assert at_once(AGENT) == [AGENT]
    in_app = replace(AGENT, channel="in_app", dedupe_key="in-app")
    assert at_once(HIGH, in_app) == [in_app]
    # a subscriber may be anybody
    subscriber = replace(AGENT, role="subscriber", channel="in_app", dedupe_key="subscriber")
    assert at_once(HIGH, subscriber) == [HIGH, subscriber]
    assert at_once(replace(HIGH, priority="medium")) == []
    assert at_once(replace(HIGH, event="ticket.commented")) == []


def test_a_storm_delays_an_urgent_ticket_until_the_end_of_the_minute_also_when_quiet_hours_begin():
    counts = {("email", HIGH.recipient): 30}
    assert list(digest_policy.delays([HIGH], {}, counts, 30, NOW).values()) == [END_OF_MINUTE]

    due = [
        Due("ticket.classified", "team", {"priority": "high"}),
        Due("ticket.classified", "team", {"priority": "low"}),
    ]
    deliver, delay, _ = digest_policy.split_due(due, QUIET, NOW)
    assert (deliver, delay) == (due[:1], due[1:])
