"""One empty embedded job passes few files of Aura: its way can be read in one sitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.hops import MOST_FILES, MOST_HOPS, Trace, empty_job
from tests.embedded import Hand


@pytest.mark.usefixtures("sqlite")
def test_an_empty_job_passes_no_more_files_and_hops_than_the_bound(hand: Hand, declare: Callable[..., Any]):
    traces = empty_job(hand.broker, declare(lambda items: [None for _ in items], actor_name="empty"))

    assert all(trace.files for trace in traces.values())
    whole = sum(traces.values(), Trace())
    assert len(whole.files) <= MOST_FILES, sorted(whole.files)
    assert whole.hops.total() <= MOST_HOPS, whole.hops
