"""The e-mail channel."""

from __future__ import annotations

from aura.notifications.channels.email.transport import EmailChannel

__all__ = ["EmailChannel"]
