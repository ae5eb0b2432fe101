"""The broker: RabbitMQ when it is named, else one inside this process; set as Dramatiq's own before any actor."""

from __future__ import annotations

import dramatiq

from aura.jobs.in_process import InProcessBroker
from aura.jobs.middleware import middleware
from aura.jobs.rabbitmq.broker import HintBroker
from aura.settings import Settings


def make_broker(settings: Settings) -> dramatiq.Broker:
    """Return the broker that the settings ask for; it opens no connection yet."""
    if settings.embedded:
        return InProcessBroker(middleware(settings))
    return HintBroker(settings, middleware(settings))
