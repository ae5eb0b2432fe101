"""Rates of channels: turns that all processes share."""

from __future__ import annotations

from sqlalchemy import select, update

from db import channel_rates, reading, transaction
from db.models import ChannelRate
from db.time import elapsed, from_now, now


def test_each_turn_of_a_channel_is_used_once(database: str) -> None:
    with transaction() as session:
        started = session.scalar(select(now()))
        taken, seconds = channel_rates.turn(session, "slack", 0.01, 1000.0)
        assert taken
        assert seconds < 1
    with transaction() as session:
        taken, seconds = channel_rates.turn(session, "slack", 0.01, 1000.0)
        assert taken
        assert 90 < seconds <= 100
    with transaction() as session:
        taken, seconds = channel_rates.turn(session, "slack", 0.01, 100.0)
        assert not taken
        assert 190 < seconds <= 200
        # each channel has its own turns, and a refusal takes none
        assert channel_rates.turn(session, "teams", 0.01, 1.0)[0]
        assert channel_rates.turn(session, "slack", 0.01, 1000.0)[0]
    with reading() as session:
        free_at = session.scalar(select(ChannelRate.free_at).where(ChannelRate.channel == "slack"))
    assert 300 <= (free_at - started).total_seconds() < 310  # type: ignore[operator]


def test_an_unused_rate_does_not_accumulate(database: str) -> None:
    with transaction() as session:
        channel_rates.turn(session, "slack", 100.0, 1.0)
        session.execute(update(ChannelRate).values(free_at=from_now(-60)))
    with transaction() as session:
        channel_rates.turn(session, "slack", 0.01, 1.0)
        assert -100.1 <= session.scalar(select(elapsed(ChannelRate.free_at))) <= -90  # type: ignore[operator]
