"""Names of queues: declared, paused, unknown."""

from __future__ import annotations

import pytest

import actors
from actors import queues
from db import queue_controls, reading, transaction
from db.jobs import NewJob
from tests.embedded import enqueue

pytestmark = pytest.mark.usefixtures("database")


def test_every_declared_queue_is_listed_with_its_jobs():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))

    with reading() as session:
        rows = {row["queue"]: row for row in queues.listing(session)}

    assert rows.keys() == actors.broker.get_declared_queues()
    assert (rows["ai.classify"]["available"], rows["ai.reanalyze"]["available"]) == (2, 0)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ai.clasify", "did you mean ai.classify?"),
        ("classify", "did you mean ai.classify?"),
        ("zzzz", "the queues are ai.classify, "),
    ],
)
def test_an_unknown_queue_is_answered_with_similar_names_or_all(name: str, hint: str):
    with reading() as session, pytest.raises(queues.UnknownQueue, match=hint):
        queues.check(session, name)


def test_a_paused_queue_is_known_when_no_actor_declares_it_any_more():
    with transaction() as session:
        queue_controls.pause(session, "ai.removed")
        queues.check(session, "ai.removed")
