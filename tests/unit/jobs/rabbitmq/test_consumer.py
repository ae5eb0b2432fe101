"""The consumer: traces of messages."""

from __future__ import annotations

from typing import Any

import pika
import pytest

from aura.jobs.rabbitmq.consumer import _traceparent
from tests.unit.traced import CALLER

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.mark.parametrize(
    ("headers", "taken"),
    [(None, None), ({"traceparent": CALLER}, CALLER), ({"traceparent": "x" * 99}, None), ({"traceparent": b"x"}, None)],
)
def test_a_message_may_name_its_span(headers: dict[str, Any] | None, taken: str | None):
    assert _traceparent(pika.BasicProperties(headers=headers)) == taken
