"""What the benchmark compares does the same work: Aura, the peers' common steps and the ceiling leave the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import NamedTupleCursor
from sqlalchemy import select

from bench.contenders import CONTENDERS
from bench.peers import ceiling, steps
from bench.submit import submit, ticket
from db import reading, tickets, transaction
from db.database import dispose
from db.models import Notification, Ticket, VerdictRecord

TICKETS = 8
#: Numbers, times, and what holds them: these differ from one run to the next.
OWN = {
    *("id", "ticket_id", "dedupe_key", "subject", "body", "data", "provider_id", "raw", "latency_ms"),
    *("created_at", "sent_at", "classified_at", "notified_at", "updated_at"),
}
#: What only Aura does, and the peers are spared: targets, thresholds in words, and the longer verdict.
SPARED = {"due_at", "sla_next_at", "needs_review", "summary", "sentiment", "language", "self_fix", "words"}


def accepted() -> list[int]:
    with transaction() as session:
        return tickets.create(session, "bench", [(ticket(number), {}) for number in range(TICKETS)])


def aura(hand: Any) -> None:
    submit(CONTENDERS["aura"], range(TICKETS))
    hand.run()


def peers(_hand: Any) -> None:
    for ticket_id in accepted():
        steps.prepare(ticket_id)
        steps.judge(ticket_id)
        for notification_id in steps.notify(ticket_id):
            steps.deliver(notification_id)


def by_hand(_hand: Any) -> None:
    keys: Iterable[str] = [str(ticket_id) for ticket_id in accepted()]
    with psycopg2.connect(steps.database_url(), cursor_factory=NamedTupleCursor) as connection:
        for _, work, _ in ceiling.STAGES:
            with connection.cursor() as cursor:
                keys = list(work(cursor, list(keys)))
    connection.close()


def rows(model: Any) -> list[dict[str, Any]]:
    spared = OWN | (SPARED if model is not Ticket else SPARED - {"language"})
    names = [column.name for column in model.__table__.columns if column.name not in spared]
    with reading() as session:
        found = [{name: getattr(row, name) for name in names} for row in session.scalars(select(model))]
    return sorted(found, key=repr)


@pytest.fixture
def left(postgres: str, hand: Any, postgresql: Any) -> Callable[[Callable[[Any], None]], dict[str, Any]]:
    """What a contender leaves behind in an empty database."""

    def left(contender: Callable[[Any], None]) -> dict[str, Any]:
        contender(hand)
        found = {model.__name__: rows(model) for model in (Ticket, VerdictRecord, Notification)}
        dispose()
        postgresql.start().empty_database(postgres)
        return found

    return left


@pytest.mark.parametrize("contender", [peers, by_hand])
def test_the_contenders_leave_the_rows_that_aura_leaves(left: Any, contender: Callable[[Any], None]):
    wanted = left(aura)
    assert [len(found) for found in wanted.values()] == [TICKETS, TICKETS, 2 * TICKETS]
    assert left(contender) == wanted
