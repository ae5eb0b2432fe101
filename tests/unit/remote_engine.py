"""A remote engine for tests, and the tickets that it classifies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from actors import analysis
from aura.ai import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.base import Call
from db import reading, transaction
from db.models import Ticket
from db.new_tickets import NewTicket
from db.tickets import create
from pipelines.triage import triage


def submit(title: str = "VPN drops every ten minutes", requester: str = "ada@example.com") -> int:
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title=title, requester=requester), {})])
        triage.send(ticket)
    return ticket


def ticket_of(ticket_id: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, ticket_id)


def rows(model: Any) -> list[Any]:
    with reading() as session:
        return list(session.query(model).order_by(model.id))


class Remote:
    """A remote engine behind its guards, as the steps see it."""

    name = "openai"

    def __init__(self) -> None:
        self.error: EngineError | None = None
        self.asked: list[ClassificationRequest] = []
        self.says = Verdict("Hardware", 0.9, "high", 0.9, "because", "openai", "m-1", "p-1", cost=0.01)
        self.says = self.says._replace(calls=(Call("m-1", "p-1", "the text", {}, "answered", 10, 5, 0.01),))

    def reclassify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
        self.asked += questions
        return [self.error or self.says for _ in questions]

    def classify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict]:
        return [self.says for _ in self.reclassify(questions)]


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    remote = Remote()
    monkeypatch.setattr(analysis, "make_engine", lambda *_: remote)
    return remote
