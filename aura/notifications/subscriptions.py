"""Subscriptions: who wants to know of which events besides those who are told anyway.

Pure rules on plain values; an empty condition holds for every ticket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from aura.errors import InvalidInput
from aura.notifications.recipients import Recipient, is_user
from aura.notifications.render import EVENTS
from aura.notifications.sanitize import is_email
from aura.settings import CHANNELS, PRIORITIES

#: A subscription to all events.
ALL = "*"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Tell `recipient` on `channel` of an event, when the ticket meets every condition."""

    recipient: str
    channel: str
    event: str = ALL
    category: str = ""
    #: The least priority.
    priority: str = ""
    department: str = ""
    #: The team of the agent who has the ticket.
    team: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionTopic:
    """What a subscription asks of a ticket."""

    category: str
    priority: str
    department: str
    team: str
    language: str
    #: Somebody has been told: it is a duplicate, or one of the many tickets of an incident.
    known: bool = False


class InvalidSubscription(InvalidInput):
    """The subscription can never be met, or leads nowhere; the text names the field and the fix."""


def checked(
    subscription: Subscription, categories: Collection[str], endpoints: Collection[tuple[str, str]]
) -> Subscription:
    """Return the subscription with its values as they are spelt here. Raises WrongSubscription.

    `endpoints` are those there are, as (channel, name).
    """
    channel, recipient = subscription.channel, subscription.recipient
    _one_of("channel", channel, (*CHANNELS, "in_app"))
    if channel == "email" and not is_email(recipient):
        raise InvalidSubscription(f"recipient: {recipient[:80]!r} is no e-mail address, such as ada@example.com")
    if channel == "in_app" and not is_user(recipient):
        raise InvalidSubscription(f"recipient: {recipient[:80]!r} is no user name, such as ada")
    if channel not in ("email", "in_app") and (channel, recipient) not in endpoints:
        there = ", ".join(sorted(name for its, name in endpoints if its == channel)) or "none yet"
        raise InvalidSubscription(f"recipient: there is no {channel} endpoint {recipient[:80]!r}; there are: {there}")
    for field, limit in (("department", 200), ("team", 80)):
        if len(getattr(subscription, field)) > limit:
            raise InvalidSubscription(f"{field}: must have at most {limit} characters")
    return replace(
        subscription,
        event=_one_of("event", subscription.event, (ALL, *EVENTS)),
        category=_one_of("category", subscription.category, ("", *categories)),
        priority=_one_of("priority", subscription.priority, ("", *PRIORITIES)),
    )


def _one_of(field: str, value: str, known: Collection[str]) -> str:
    found = next((each for each in known if each.casefold() == value.casefold()), None)
    if found is None:
        raise InvalidSubscription(f"{field}: there is no {value[:80]!r}; there are {', '.join(filter(None, known))}")
    return found


def subscribers(event: str, matter: SubscriptionTopic, subscriptions: Iterable[Subscription]) -> list[Recipient]:
    """Return who subscribed to this event of such a ticket.

    Of what is known already people are not told again; a webhook is a program, and gets every ticket.
    """
    return [
        Recipient(each.recipient, "subscriber", each.channel, matter.language)
        for each in subscriptions
        if wants(each, event, matter) and (each.channel == "webhook" or not matter.known)
    ]


def wants(subscription: Subscription, event: str, matter: SubscriptionTopic) -> bool:
    """Return whether the event of such a ticket meets all conditions of the subscription."""
    if subscription.event not in (ALL, event):
        return False
    pairs = (
        (subscription.category, matter.category),
        (subscription.department, matter.department),
        (subscription.team, matter.team),
    )
    return all(not asked or asked.casefold() == said.casefold() for asked, said in pairs) and (
        not subscription.priority or _urgent(matter.priority) >= _urgent(subscription.priority)
    )


def _urgent(priority: str) -> int:
    return PRIORITIES.index(priority) if priority in PRIORITIES else -1
