"""The apprise channel."""

from __future__ import annotations

from aura.notifications.channels.apprise.transport import AppriseChannel, check

__all__ = ["AppriseChannel", "check"]
