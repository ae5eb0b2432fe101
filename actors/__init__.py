"""Importing this package sets the broker, its middleware and every actor; `dramatiq actors` is the worker command.

It opens no connection, and loads neither openai nor fastapi nor scikit-learn.
"""

import dramatiq

from actors.broker import make_broker
from settings import get_settings

broker = make_broker(get_settings())
dramatiq.set_broker(broker)

from actors import deliveries, tickets  # noqa: E402  # an actor is declared on the broker that is set

__all__ = ["broker", "deliveries", "tickets"]
