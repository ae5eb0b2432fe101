"""Traces: the form of a traceparent, and the span of a block."""

from __future__ import annotations

import pytest

from db import traces

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "-x",
        PARENT + "\n",
        "01" + PARENT[2:],
        PARENT.replace(TRACE, "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
    ],
)
def test_a_malformed_traceparent_has_no_trace(text: str | None):
    assert traces.trace_of(text) is None


def test_the_span_of_a_block_is_current_inside_the_block_alone():
    with traces.within(PARENT):
        with traces.within(None):
            assert traces.current.get() is None
        assert traces.current.get() == PARENT
    assert traces.current.get() is None
