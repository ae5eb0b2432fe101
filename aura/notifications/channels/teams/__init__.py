"""The Microsoft Teams channel."""

from __future__ import annotations

from aura.notifications.channels.teams.transport import TeamsChannel

__all__ = ["TeamsChannel"]
