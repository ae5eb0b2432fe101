from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.lanes import Lanes

LANES = Lanes(5)
row = st.lists(st.integers(-(2**50), 2**50), min_size=5, max_size=5)


@given(st.lists(row, min_size=1, max_size=40))
def test_a_sum_of_rows_holds_the_sum_of_each_column(rows: list[list[int]]) -> None:
    assert LANES.unpack(sum(map(LANES.pack, rows))) == tuple(map(sum, zip(*rows, strict=True)))


def test_the_widest_sums_fit() -> None:
    widest = (2**63 - 1, -(2**63), 0, -1, 2**63 - 1)
    assert LANES.unpack(LANES.pack(widest)) == widest
    assert LANES.unpack(0) == (0,) * 5
