"""Subscriptions and preferences of the database, and an endpoint for them."""

from __future__ import annotations

import pytest

from db import endpoints, preferences, reading, subscriptions, transaction


@pytest.fixture
def slack(database: str) -> None:
    with transaction() as session:
        endpoints.add(session, "desk-slack", "slack", "console:")


def everything() -> tuple[list[dict[str, str]], dict[str, dict[str, str]]]:
    with reading() as session:
        return subscriptions.all_subscriptions(session), preferences.all_preferences(session)
