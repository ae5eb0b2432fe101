from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.thresholds import FEWEST, lower_bound, threshold, thresholds


def test_the_threshold_is_the_lowest_confidence_with_the_wanted_precision() -> None:
    right, wrong = [(0.9, True)] * 60, [(0.5, False)] * 10
    limit = threshold([*right, *wrong, (0.7, True)], 0.95)
    # 61 of 61 above 0.7, and 61 of 71 above 0.5
    assert limit.confidence == 0.7 and limit.precision == 1.0 and limit.tickets == 71
    assert limit.share == 61 / 71
    assert limit.reached(0.7) and limit.reached(1.0) and not limit.reached(0.69)


def test_few_right_verdicts_give_no_threshold() -> None:
    assert threshold([(0.9, True)] * (FEWEST - 1), 0.5).confidence is None
    assert threshold([(0.9, True)] * FEWEST, 0.95).confidence is None
    assert threshold([(0.9, True)] * 60, 0.95).confidence == 0.9


def test_a_name_below_the_precision_has_no_threshold() -> None:
    never = threshold([(0.9, True), (0.9, False)] * 100, 0.95)
    assert never.confidence is None and not never.reached(1.0)
    assert thresholds({"a": []}, 0.5)["a"].confidence is None


def test_verdicts_of_equal_confidence_count_together() -> None:
    # in any order, 100 of 150 are right
    assert threshold([(0.9, True)] * 100 + [(0.9, False)] * 50, 0.8).confidence is None


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans()), max_size=300),
    st.floats(0.05, 0.99),
)
def test_the_verdicts_above_any_threshold_have_the_wanted_precision(
    pairs: list[tuple[float, bool]], wanted: float
) -> None:
    limit = threshold(pairs, wanted)
    if limit.confidence is not None:
        above = [right for confidence, right in pairs if confidence >= limit.confidence]
        assert sum(above) / len(above) >= wanted and limit.precision == sum(above) / len(above)
        assert limit.share == len(above) / len(pairs)


def test_the_lower_bound_is_that_of_the_wilson_interval() -> None:
    assert lower_bound(0, 0) == 0.0
    assert lower_bound(10, 10, 1.96) == pytest.approx(0.7225, abs=1e-3)
    assert lower_bound(5, 10, 1.96) == pytest.approx(0.2366, abs=1e-3)
    assert lower_bound(95, 100) < lower_bound(950, 1000) < 0.95
