"""Traces: the form of a traceparent, and spans within a trace."""

from __future__ import annotations

import pytest

from db import traces

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_child_is_another_span_of_its_parents_trace_with_the_same_flags():
    child = traces.child(PARENT)

    assert traces.trace_of(child) == TRACE
    assert child != PARENT
    assert child.endswith("-00"), "the caller decided that the trace is not sampled"


@pytest.mark.parametrize(
    "parent",
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
def test_a_malformed_parent_begins_a_new_trace(parent: str | None):
    assert traces.trace_of(parent) is None

    first, second = traces.child(parent), traces.child(parent)
    assert traces.trace_of(first) not in (None, TRACE, traces.trace_of(second))


def test_the_span_of_a_block_is_current_inside_the_block_alone():
    with traces.within(PARENT):
        with traces.within(None):
            assert traces.current.get() is None
        assert traces.current.get() == PARENT
    assert traces.current.get() is None
