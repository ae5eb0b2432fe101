"""Metrics of the service desk: every series exists as 0 before its first event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import prometheus_client

from actors import metrics
from aura.settings import CHANNELS


def test_every_series_of_engines_and_channels_exists_before_its_first_event(configure: Callable[..., Any]):
    configure(OPENAI_API_KEY="k", AI_MODEL="never-asked")
    metrics.create_series()

    page = prometheus_client.generate_latest().decode()
    assert 'aura_ai_tokens_total{direction="output",model="never-asked"} 0.0' in page
    assert 'aura_ai_cost_dollars_total{model="never-asked"} 0.0' in page
    # these may have been counted meanwhile
    series = [f'verdicts_total{{engine="openai",how="{how}"}}' for how in ("answered", "cached", "fallback")]
    series += [f'notifications_total{{channel="{channel}",outcome="in_doubt"}}' for channel in CHANNELS]
    assert [each for each in series if f"aura_{each} " not in page] == []
