"""The console channel."""

from __future__ import annotations

from aura.notifications.channels.console.transport import ConsoleChannel

__all__ = ["ConsoleChannel"]
