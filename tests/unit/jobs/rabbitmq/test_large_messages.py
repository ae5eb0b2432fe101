"""Large messages: of one that is too long, the first bytes and the size stay."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pika
import pytest
from pika import frame, spec

from actors import broker
from aura.jobs.program import Malformed
from aura.jobs.rabbitmq import messages
from aura.jobs.rabbitmq.large_messages import HEAD_BYTES, SIZE_LIMIT, BoundedAssembler, TruncatedBody, bound, size_of


def deliver(assembler: BoundedAssembler, fragments: list[bytes]) -> Any:
    """Return what the frames of one message become."""
    size = sum(map(len, fragments))
    results = [
        assembler.process(frame.Method(1, spec.Basic.Deliver("", 1, False, "", "q"))),
        assembler.process(frame.Header(1, size, pika.BasicProperties(user_id="intranet"))),
        *(assembler.process(frame.Body(1, fragment)) for fragment in fragments),
    ]
    complete = [each for each in results if each is not None]
    assert len(complete) == 1
    assert complete[0] is results[-1]
    return complete[0]


@pytest.mark.parametrize("fragments", [[], [b"a"], [b"a" * 400_000] * 2, [b"a" * (SIZE_LIMIT // 2)] * 2], ids=len)
def test_a_message_up_to_the_limit_is_complete(fragments: list[bytes]):
    _, header, body = deliver(BoundedAssembler(), fragments)

    assert (body, header.properties.user_id) == (b"".join(fragments), "intranet")
    assert not isinstance(body, TruncatedBody)


@pytest.mark.parametrize("first", [1, 500, 1024, 100_000])
def test_of_a_longer_message_the_first_bytes_and_the_size_stay(first: int):
    fragments = [(b"abcdefgh" * (first // 8 + 1))[:first], *[b"x" * 100_000] * 11]

    _, header, body = deliver(BoundedAssembler(), fragments)

    assert body == b"".join(fragments)[:HEAD_BYTES]
    assert size_of(body) == header.body_size == 1_100_000 + first


def test_the_next_message_is_complete_again():
    assembler = BoundedAssembler()
    deliver(assembler, [b"a" * 600_000] * 2)

    assert deliver(assembler, [b"next"])[2] == b"next"


def test_a_long_message_takes_no_memory():
    assembler = BoundedAssembler()
    assembler.process(frame.Method(1, spec.Basic.Deliver("", 1, False, "", "q")))
    assembler.process(frame.Header(1, 200_000_000, pika.BasicProperties()))
    tracemalloc.start()
    for _ in range(400):
        assembler.process(frame.Body(1, b"x" * 131_072))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10 * 131_072


def test_a_truncated_message_is_refused_with_its_size():
    with pytest.raises(Malformed, match=r"50000000 bytes are more than the 1000000 .* the first 1024 are kept"):
        messages.read("tickets.intake", TruncatedBody(b"{" * 2000, 50_000_000), broker)


def test_pika_has_the_names_that_the_bound_relies_on():
    from pika.channel import Channel, ContentFrameAssembler

    connection: Any = type("Connection", (), {"callbacks": None})()
    channel = Channel(connection, 1, lambda _: None)
    assert type(channel._content_assembler) is ContentFrameAssembler
    assert {"_header_frame", "_seen_so_far", "_body_fragments"} <= set(vars(channel._content_assembler))
    blocking = type("Blocking", (), {"_impl": channel})()
    bound(blocking)
    assert type(channel._content_assembler) is BoundedAssembler
