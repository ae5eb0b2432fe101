"""Notification settings as the actors use them: subscriptions and preferences from the database, cached for seconds.

An invalid row, which only a manual change of the table can leave there, is ignored and logged.
"""

from __future__ import annotations

import structlog
from sqlalchemy.orm import Session

from aura.jobs.ttl_cache import TTLCache
from aura.notifications import Preference, Subscription, quiet_hours
from aura.notifications.decide import NotificationSettings
from aura.settings import CHANNELS, get_settings
from db import notifications, preferences, subscriptions

logger = structlog.get_logger("aura.notifications")

#: Seconds after which a changed subscription or preference takes effect.
TTL = 3.0


def load_settings(session: Session) -> NotificationSettings:
    """Return the valid subscriptions and preferences."""
    valid: list[Subscription] = []
    for row in subscriptions.all_subscriptions(session):
        if row["channel"] in (*CHANNELS, "in_app"):
            valid.append(Subscription(**row))
        else:
            logger.warning("subscription to an unknown channel ignored", channel=row["channel"])
    return NotificationSettings(tuple(valid), load_preferences(session))


def load_preferences(session: Session) -> dict[str, Preference]:
    """Return the valid preferences by recipient; an agent's preference holds for both the name and the address."""
    valid: dict[str, Preference] = {}
    for recipient, row in preferences.all_preferences(session).items():
        preference = quiet_hours.preference(row, get_settings().timezone)
        if problem := quiet_hours.problem(preference):
            logger.warning("invalid preference ignored", recipient=recipient, problem=problem)
        else:
            valid[recipient] = preference
    for name, address in _agents(session) if valid else ():
        for alias, other in ((name, address), (address, name)):
            if alias in valid and other:
                valid.setdefault(other, valid[alias])
    return valid


def aliases(session: Session, recipient: str) -> set[str]:
    """Return the recipient with an agent's other name: both name and address, in lower case."""
    recipient = recipient.lower()
    names = {alias for agent in _agents(session) if recipient in agent for alias in agent if alias}
    return {recipient, *names}


def _agents(session: Session) -> list[tuple[str, str]]:
    return [(agent.name.lower(), agent.email.lower()) for agent, _ in notifications.agents(session)]


#: `load_settings`, cached for TTL seconds.
cached_settings = TTLCache(TTL, load_settings)
