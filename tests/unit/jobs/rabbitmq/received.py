"""Messages as a queue delivers them."""

from __future__ import annotations

import json
from typing import Any

from dramatiq import Message
from hypothesis import strategies as st

import actors
from aura.jobs.program import PlainMessage
from aura.jobs.rabbitmq import messages


def read(queue: str, body: bytes | dict[str, Any]) -> Message[Any] | PlainMessage:
    return messages.read(queue, body if isinstance(body, bytes) else json.dumps(body).encode(), actors.broker)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["classify", "ai.classify"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
