"""What people asked for: to be told of more, and how. What somebody wrote by hand and is none is left out, and logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy.orm import Session

from aura.jobs.ttl_cache import TTLCache
from aura.notifications import Preference, Subscription, quiet_hours
from aura.settings import CHANNELS, get_settings
from db import notifications, preferences, subscriptions

logger = structlog.get_logger("aura.wishes")

#: Seconds after which a subscription or a preference counts.
FRESH = 3.0


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """Who asked to be told of what, and how."""

    subscriptions: tuple[Subscription, ...] = ()
    #: By address or user name, in lower case.
    preferences: Mapping[str, Preference] = field(default_factory=dict)


def subscriptions_of(session: Session) -> NotificationSettings:
    """Return what people asked for, as it is at this moment."""
    wanted = [Subscription(**row) for row in subscriptions.every(session)]
    for each in wanted:
        if each.channel not in (*CHANNELS, "in_app"):
            logger.warning("a subscription to an unknown channel is left out of account", channel=each.channel)
    return NotificationSettings(
        tuple(each for each in wanted if each.channel in (*CHANNELS, "in_app")), preference_of(session)
    )


def preference_of(session: Session) -> dict[str, Preference]:
    """Return the sound preferences; who has both a name and an address here prefers the same by both."""
    found = dict(_sound(preferences.every(session).items()))
    if found:
        for name, address in _agents(session):
            for one, other in ((name, address), (address, name)):
                if one in found and other:
                    found.setdefault(other, found[one])
    return found


def names_of(session: Session, recipient: str) -> set[str]:
    """Return by what else the recipient is known here: an agent's name and address, in lower case."""
    known = recipient.lower()
    return {known, *(each for names in _agents(session) if known in names for each in names if each)}


def _agents(session: Session) -> list[tuple[str, str]]:
    return [(agent.name.lower(), agent.email.lower()) for agent, _ in notifications.agents(session)]


def _sound(rows: Iterable[tuple[str, Mapping[str, str]]]) -> Iterable[tuple[str, Preference]]:
    for recipient, row in rows:
        preference = quiet_hours.preference(row, get_settings().timezone)
        if wrong := quiet_hours.problem(preference):
            # nobody is told less because of a row that somebody wrote by hand
            logger.warning("a preference is left out of account", recipient=recipient, problem=wrong)
        else:
            yield recipient, preference


#: What people asked for, at most some seconds ago.
notification_settings = TTLCache(FRESH, subscriptions_of)
