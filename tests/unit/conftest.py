"""Aura in this process, on a database that each test finds empty."""

from tests.commands import run
from tests.embedded import *  # noqa: F403

__all__ = ["run"]
