"""Aura in this process, on a database that each test finds empty."""

from tests.commands import run
from tests.embedded import *  # noqa: F403
from tests.unit.desk.stored_settings import slack
from tests.unit.remote_engine import remote
from tests.unit.traced import untraced

__all__ = ["remote", "run", "slack", "untraced"]
