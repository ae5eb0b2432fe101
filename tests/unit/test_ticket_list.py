"""Lists of tickets in an order: each ticket once, page by page, and none of them read or sorted as a whole."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, text

from db import reading, ticket_list, tickets, transaction
from db.sessions import engine
from settings import PRIORITIES

FILL = """
    INSERT INTO tickets (source, raw, title, description, requester, department, language, priority, status, assignee,
                         stage, notified_version, sla_state, needs_review, due_at, created_at)
    SELECT 'http', '{}', 't', '', '', '', 'en', (ARRAY['low', 'medium', NULL])[1 + n % 3], 'open', 'Agent ' || n % 5,
           'notified', 1, '', false, CASE WHEN n % 2 = 0 THEN now() END, now()
    FROM generate_series(1, 3000) AS n
"""


@pytest.mark.parametrize("sort", ["priority", "-priority"])
def test_pages_by_priority_hold_each_ticket_once_in_order(sort: ticket_list.Sort, database: str) -> None:
    priorities = [None, "high", "low", None, "critical", "low", "medium"]
    with transaction() as session:
        session.add_all([ticket_list.Ticket(source="http", raw="{}", title="t", priority=each) for each in priorities])
    found: list[ticket_list.Ticket] = []
    cursor = None
    with reading() as session:
        while True:
            page = ticket_list.page(session, {}, sort=sort, cursor=cursor, limit=2)
            found += page.tickets
            if (cursor := page.next) is None:
                break
    keys = [(-1 if each.priority is None else PRIORITIES.index(each.priority), each.id) for each in found]
    assert len(keys) == len(priorities)
    assert all(one < other if sort == "priority" else one > other for one, other in pairwise(keys))


@pytest.mark.integration
def test_ordered_lists_go_by_an_index(postgres: str) -> None:
    with transaction() as session:
        session.execute(text(FILL))
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE tickets"))
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        asked.append((statement, values))

    with reading() as session:
        event.listen(session.connection(), "before_cursor_execute", note)
        ticket_list.page(session, {}, sort="-priority", limit=50)
        ticket_list.page(session, {"assignee": "nobody at all"}, limit=50)
        tickets.listing(session, due=True)
        raw: Any = session.connection().connection.dbapi_connection
        plans = []
        with raw.cursor() as cursor:
            for statement, values in asked:
                cursor.execute("EXPLAIN " + statement, values)
                plans.append("\n".join(row[0] for row in cursor))
    assert all(" Sort" not in plan and "Seq Scan" not in plan for plan in plans), "\n\n".join(plans)
    assert "ix_tickets_priority" in plans[0]
    assert "ix_tickets_assigned" in plans[-2]
    assert "ix_tickets_due" in plans[-1]
