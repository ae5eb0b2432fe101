"""Messages: hints of the relay and plain JSON are read, everything else is Malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dramatiq import Message
from hypothesis import example, given
from hypothesis import strategies as st

import actors
from actors.classify import classify
from actors.plain_messages import PlainJson
from aura.jobs.program import Malformed
from aura.jobs.rabbitmq import messages
from aura.jobs.rabbitmq.messages import SIZE_LIMIT
from db.text import storable
from tests.unit.jobs.rabbitmq.received import ANYTHING, read

QUEUES = sorted({actor.queue_name for actor in actors.broker.actors.values()})


def hint(**changes: Any) -> dict[str, Any]:
    """Return the envelope of a good hint for `classify`, with changes."""
    envelope: dict[str, Any] = json.loads(classify.message_with_options(args=([1, 2],)).encode())
    return envelope | changes


# -- reading ----------------------------------------------------------------------------------------------------------


def reads_or_refuses(queue: str, body: bytes) -> None:
    """`read` returns a hint for this queue, a plain message, or Malformed; never anything else."""
    try:
        message = read(queue, body)
    except Malformed as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert storable(refusal) == refusal, "fit for the dead letter"
        return
    if isinstance(message, Message):
        assert actors.broker.actors[message.actor_name].queue_name == message.queue_name == queue
        (ids,) = message.args
        assert ids
        assert all(type(number) is int and number > 0 for number in ids)
        assert (message.kwargs, message.options) == ({}, {})
    else:
        assert isinstance(message, PlainJson)
        assert isinstance(message.payload, dict)


@given(st.sampled_from([*QUEUES, "nowhere"]), st.binary(max_size=200))
@example("ai.classify", b"")
@example("ai.classify", b"\x00")
@example("ai.classify", b"null")
@example("ai.classify", b'"text"')
@example("ai.classify", b"[" * 100_000)
@example("ai.classify", b'{"a":' * 5_000 + b"1" + b"}" * 5_000)
@example("ai.classify", b'{"actor_name":' + b"[" * 985 + b"]" * 985 + b"}")
@example("ai.classify", b'{"a": NaN}')
@example("ai.classify", b'{"a": 1e400}')
@example("ai.classify", b"9" * 5_000)
@example("ai.classify", '{"ticket_id": 1}'.encode("utf-16"))
@example("ai.classify", b'{"actor_name": "\\ud800"}')
@example("ai.classify", b'{"actor_name": "\\u0000"}')
def test_random_bytes_are_refused(queue: str, body: bytes):
    reads_or_refuses(queue, body)


@given(
    st.sampled_from(["ai.classify", "ai.reanalyze", "tickets.intake", "nowhere"]),
    st.dictionaries(st.sampled_from([*sorted(messages.ENVELOPE), "eta", "other"]), ANYTHING, max_size=3),
    st.sets(st.sampled_from(sorted(messages.ENVELOPE)), max_size=1),
)
def test_no_changed_envelope_passes_the_whitelist(queue: str, changes: dict[str, Any], missing: set[str]):
    envelope = {name: value for name, value in hint(**changes).items() if name not in missing}

    reads_or_refuses(queue, json.dumps(envelope).encode())


def test_a_hint_of_our_own_relay_is_read():
    message = read("ai.classify", hint())

    assert isinstance(message, Message)
    assert (message.actor_name, message.queue_name, message.args) == ("classify", "ai.classify", ([1, 2],))


@pytest.mark.parametrize(
    "changes",
    [
        {"queue_name": "ai.reanalyze"},
        {"queue_name": None},
        {"actor_name": "nobody"},
        {"actor_name": "notify"},
        {"actor_name": ["classify"]},
        {"actor_name": None},
        {"args": []},
        {"args": [1]},
        {"args": [[]]},
        {"args": [[1], [2]]},
        {"args": [["1"]]},
        {"args": [[True]]},
        {"args": [[1.0]]},
        {"args": [[0]]},
        {"args": [[-1]]},
        {"args": [[2**63]]},
        {"args": [list(range(1, 1002))]},
        {"args": {"0": [1]}},
        {"kwargs": {"a": 1}},
        {"kwargs": None},
        {"options": None},
        {"options": {"eta": 1}},
        {"options": {"max_retries": 0}},
        {"options": {"pipe_target": {}}},
        {"message_id": 1},
        {"message_timestamp": "now"},
        {"message_timestamp": True},
        {"extra": 1},
    ],
    ids=str,
)
def test_an_envelope_that_the_relay_does_not_write_is_refused(changes: dict[str, Any]):
    with pytest.raises(Malformed):
        read("ai.classify", hint(**changes))


def test_a_hint_for_another_queue_is_refused():
    with pytest.raises(Malformed, match=r"no actor 'classify' listens on ai.reanalyze"):
        read("ai.reanalyze", hint())


def test_a_hint_may_name_a_thousand_jobs():
    assert isinstance(read("ai.classify", hint(args=[list(range(1, 1001))])), Message)


def test_a_message_that_is_too_long_is_not_even_parsed():
    with pytest.raises(Malformed, match=f"{SIZE_LIMIT + 1} bytes are more"):
        read("tickets.intake", b" " * (SIZE_LIMIT + 1))
    with pytest.raises(Malformed, match="not JSON"):
        read("tickets.intake", b" " * SIZE_LIMIT)


def test_a_queue_of_our_own_takes_hints_only():
    with pytest.raises(Malformed, match=r"tickets\.notify takes hints only"):
        read("tickets.notify", {"ticket_id": 1})


def test_a_refusal_never_repeats_a_long_input():
    for body in (b"x" * 5000, json.dumps(hint(actor_name="x" * 5000)).encode()):
        with pytest.raises(Malformed) as refused:
            read("ai.classify", body)
        assert len(str(refused.value)) < 300
