"""Fixtures of the actors' tests."""

from __future__ import annotations

import pytest

from actors import notification_settings
from tests.unit.actors.sla_tickets import happened, says

__all__ = ["happened", "says", "uncached_settings"]


@pytest.fixture(autouse=True)
def uncached_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscriptions and preferences take effect at once."""
    monkeypatch.setattr(notification_settings, "cached_settings", notification_settings.load_settings)
