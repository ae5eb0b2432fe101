"""One empty embedded job passes few files of Aura: its way can be read in one sitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aura.jobs import process_state
from aura.jobs.ttl_cache import TTLCache
from bench.hops import MOST_FILES, MOST_HOPS, Trace, empty_job
from db import queue_controls
from tests.embedded import Hand


@pytest.mark.usefixtures("sqlite")
def test_an_empty_job_passes_no_more_files_and_hops_than_the_bound(
    hand: Hand, declare: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    # pauses and limits stay cached until the second job is done, however slow the machine is
    monkeypatch.setattr(process_state, "queue_controls", TTLCache(3600.0, queue_controls.current))
    traces = empty_job(hand.broker, declare(lambda items: [None for _ in items], actor_name="empty"))

    assert all(trace.files for trace in traces.values())
    whole = sum(traces.values(), Trace())
    assert len(whole.files) <= MOST_FILES, sorted(whole.files)
    assert whole.hops.total() <= MOST_HOPS, whole.hops
