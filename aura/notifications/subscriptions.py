"""Subscriptions: recipients of events besides the audience of `recipients`.

Pure functions on plain values; an empty condition matches every ticket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from aura.errors import InvalidInput
from aura.notifications.recipients import Recipient, is_user
from aura.notifications.render import EVENTS
from aura.notifications.sanitize import is_email
from aura.settings import CHANNELS, PRIORITIES

#: The event of an incident, not of one ticket: it is proposed, and waits for a person.
INCIDENT_PROPOSED = "incident.proposed"
#: A subscription to all events.
ALL = "*"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Notifies `recipient` on `channel` of an event of tickets that match every condition."""

    recipient: str
    channel: str
    event: str = ALL
    category: str = ""
    #: The lowest priority.
    priority: str = ""
    department: str = ""
    #: The team of the assignee.
    team: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionTopic:
    """The attributes of a ticket that subscriptions match."""

    category: str
    priority: str
    department: str
    team: str
    language: str
    #: Another ticket of the same topic was announced: the original of a duplicate, or an incident.
    announced: bool = False


class InvalidSubscription(InvalidInput):
    """The subscription can match no ticket or reach no recipient; the message names the field and its valid values."""


def validated(
    subscription: Subscription, categories: Collection[str], endpoints: Collection[tuple[str, str]]
) -> Subscription:
    """Return the subscription with its values in their defined spelling. Raises InvalidSubscription.

    `endpoints` are the existing endpoints, as (channel, name).
    """
    channel, recipient = subscription.channel, subscription.recipient
    _one_of("channel", channel, (*CHANNELS, "in_app"))
    if channel == "email" and not is_email(recipient):
        raise InvalidSubscription(f"recipient: {recipient[:80]!r} is not an e-mail address such as ada@example.com")
    if channel == "in_app" and not is_user(recipient):
        raise InvalidSubscription(f"recipient: {recipient[:80]!r} is not a user name such as ada")
    if channel not in ("email", "in_app") and (channel, recipient) not in endpoints:
        names = ", ".join(sorted(name for kind, name in endpoints if kind == channel)) or "not defined yet"
        raise InvalidSubscription(
            f"recipient: unknown {channel} endpoint {recipient[:80]!r}; the {channel} endpoints are {names}"
        )
    for field, limit in (("department", 200), ("team", 80)):
        if len(getattr(subscription, field)) > limit:
            raise InvalidSubscription(f"{field}: must have at most {limit} characters")
    return replace(
        subscription,
        event=_one_of("event", subscription.event, (ALL, *EVENTS, INCIDENT_PROPOSED)),
        category=_one_of("category", subscription.category, ("", *categories)),
        priority=_one_of("priority", subscription.priority, ("", *PRIORITIES)),
    )


def _one_of(field: str, value: str, choices: Collection[str]) -> str:
    choice = next((each for each in choices if each.casefold() == value.casefold()), None)
    if choice is None:
        raise InvalidSubscription(
            f"{field}: unknown value {value[:80]!r}; use one of {', '.join(filter(None, choices))}"
        )
    return choice


def subscribers(event: str, topic: SubscriptionTopic, subscriptions: Iterable[Subscription]) -> list[Recipient]:
    """Return the subscribers of this event of a ticket; of a topic that was announced before, webhooks alone."""
    return [
        Recipient(each.recipient, "subscriber", each.channel, topic.language)
        for each in subscriptions
        if matches(each, event, topic) and (each.channel == "webhook" or not topic.announced)
    ]


def matches(subscription: Subscription, event: str, topic: SubscriptionTopic) -> bool:
    """Return whether the event of a ticket meets all conditions of the subscription."""
    if subscription.event not in (ALL, event):
        return False
    pairs = (
        (subscription.category, topic.category),
        (subscription.department, topic.department),
        (subscription.team, topic.team),
    )
    return all(not condition or condition.casefold() == value.casefold() for condition, value in pairs) and (
        not subscription.priority or rank(topic.priority) >= rank(subscription.priority)
    )


def rank(priority: str) -> int:
    """Return the order of a priority; -1 for any other text."""
    return PRIORITIES.index(priority) if priority in PRIORITIES else -1
