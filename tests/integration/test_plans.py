"""Each index of a large table answers the question that it was made for, and nobody reads a table through or sorts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from db import (
    digests,
    fair_shares,
    notifications,
    queue_stats,
    reading,
    reanalysis,
    retention,
    ticket_actions,
    ticket_list,
    ticket_stats,
    tickets,
    workers,
)
from db.database import engine, transaction

#: A desk with 3,000 tickets that are over and as many that are open, a few of each kind that somebody has to do with.
FILL = (
    """INSERT INTO tickets (source, raw, title, description, requester, department, language, category, priority, status,
           assignee, stage, notified_version, sla_state, needs_review, due_at, sla_next_at, created_at, classified_at,
           changed_at, notified_at)
       SELECT 'http', '{}', 't', '', '', '', 'en', 'Network', (ARRAY['low', 'medium', NULL])[1 + n % 3],
           CASE WHEN n > 3000 THEN 'open' ELSE 'closed' END, 'Agent ' || n % 5,
           CASE WHEN n > 5990 THEN 'received' ELSE 'notified' END, 1,
           CASE WHEN n % 100 = 1 THEN 'warned' WHEN n % 100 = 2 THEN 'breached' ELSE '' END,
           n > 3000 AND n % 50 = 0, CASE WHEN n % 20 = 0 THEN now() END,
           CASE WHEN n > 3000 AND n % 70 = 0 THEN now() - interval '1 minute' END, at, at,
           CASE WHEN n > 3000 AND n % 90 = 0 THEN now() END, CASE WHEN n <= 5990 THEN at END
       FROM (SELECT n, now() - (6000 - n) * interval '30 minutes' AS at FROM generate_series(1, 6000) AS n) AS numbered""",
    """INSERT INTO verdicts (ticket_id, engine, model, prompt_version, category, confidence, priority, priority_confidence,
           reason, needs_review, fallback, input_tokens, output_tokens, latency_ms, created_at)
       SELECT id, 'local', 'shipped', '', 'Network', 0.9, 'low', 0.8, CASE WHEN id % 50 = 0 THEN 'because' ELSE '' END,
           false, CASE WHEN id > 5980 THEN 'no answer' ELSE '' END, 0, 0, 1, created_at FROM tickets""",
    """INSERT INTO notifications (id, dedupe_key, ticket_id, event, channel, recipient, role, state, subject, body,
           provider_id, delayed_until, created_at)
       SELECT md5(id::text), id::text, id, 'ticket.classified', 'email', 'p' || id % 20, 'requester',
           CASE WHEN id % 100 = 0 THEN 'in_doubt' WHEN id % 100 = 1 THEN 'delayed' ELSE 'sent' END, '', '', '', now(),
           created_at FROM tickets""",
    """INSERT INTO attempts (job_id, actor, key, pipeline, number, worker, outcome, seconds, created_at)
       SELECT id, 'classify', id::text, 'triage', 1, 'w', 'completed', 0.01, created_at FROM tickets""",
)
#: A backlog of jobs, and a few that a worker held when it died.
BACKLOG = """INSERT INTO jobs (actor, key, args, pipeline, "next_steps", priority, due_at, created_at, lease, worker)
    SELECT 'classify', n::text, '[]', 'triage', '[]', 5, now(), now(), CASE WHEN n > 29990 THEN 'lease' END,
        CASE WHEN n > 29990 THEN 'gone' END
    FROM generate_series(1, 30000) AS n"""
OLD = retention.rules(60, 60, 60, 60, 60, 60)
ASKED: dict[str, Callable[[Session], object]] = {
    "ix_tickets_review": ticket_stats.review_queue,
    "ix_tickets_at_risk": ticket_stats.ticket_stats,
    "ix_tickets_unfinished": queue_stats.unfinished,
    "ix_tickets_changed": lambda session: reanalysis.changed_tickets(session, 100),
    "ix_tickets_sla": ticket_actions.any_sla_check_due,
    "ix_tickets_priority": lambda session: ticket_list.page(session, {}, sort="-priority"),
    "ix_tickets_assigned": lambda session: ticket_list.page(session, {"assignee": ["nobody at all"]}),
    "ix_tickets_requester": lambda session: ticket_list.page(session, {"requester": ["ADA@Example.com", "Bob"]}),
    "ix_tickets_due": lambda session: tickets.listing(session, due=True),
    "ix_verdicts_fallback": lambda session: reanalysis.fallback_verdicts(session, 5, 100),
    "ix_verdicts_with_text": lambda session: retention.delete_batch(session, OLD["verdicts"]),
    "ix_notifications_delayed": lambda session: digests.due(session, "email", "p1", 10),
    "ix_notifications_recent": lambda session: digests.count_recent(session, [("email", "p1")], 10),
    "ix_notifications_in_doubt": notifications.in_doubt_count,
    "ix_notifications_created": lambda session: retention.delete_batch(session, OLD["notifications"]),
    "ix_attempts_created": lambda session: retention.delete_batch(session, OLD["attempts"]),
}
LARGE = ("tickets", "verdicts", "notifications", "attempts")
#: What orders the few that an index has found.
SORTS_FEW = {"ix_tickets_at_risk", "ix_tickets_requester", "ix_notifications_delayed"}


def test_each_index_serves_its_query(postgres: str) -> None:
    with transaction() as session:
        for statement in FILL:
            session.execute(text(statement))
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    wrong = {}
    for index, ask in ASKED.items():
        plan = "\n".join(_plans(ask))
        sorts = " Sort" in plan and index not in SORTS_FEW
        if index not in plan or sorts or any(f"Seq Scan on {table}" in plan for table in LARGE):
            wrong[index] = plan
    assert not wrong, "\n\n".join(f"{index}:\n{plan}" for index, plan in wrong.items())


def test_jobs_of_dead_workers_are_found_in_a_sudden_backlog_of_which_there_are_no_statistics(postgres: str) -> None:
    with transaction() as session:
        session.execute(text(BACKLOG))
    (orphaned,) = [plan for plan in _plans(lambda session: workers.recover(session, 15)) if "LockRows" in plan]
    assert "ix_jobs_worker" in orphaned


def _plans(ask: Callable[[Session], object]) -> list[str]:
    """Return the plan of each statement that is asked."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        if not statement.startswith("NOTIFY"):
            asked.append((statement, values))

    with reading() as session:
        event.listen(session.connection(), "before_cursor_execute", note)
        raw: Any = session.connection().connection.dbapi_connection
        ask(session)
        plans = []
        with raw.cursor() as cursor:
            for statement, values in asked:
                cursor.execute(f"EXPLAIN {statement}", values)
                plans.append("\n".join(row[0] for row in cursor))
        return plans


#: Shares of a backlog: of one requester, of two, and of a different one for each job.
SHARES = """INSERT INTO jobs (actor, key, args, pipeline, "next_steps", priority, due_at, created_at, share)
    SELECT 'classify', n::text, '[]', 'triage', '[]', 5, now() - n * interval '1 millisecond', now(), {share}
    FROM generate_series(1, 30000) AS n"""


@pytest.mark.parametrize("share", ["0", "n % 2", "n"])
def test_jobs_in_turn_are_read_by_the_index_of_shares(postgres: str, share: str) -> None:
    with transaction() as session:
        session.execute(text(SHARES.format(share=share)))
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE jobs"))
    plans = _plans(lambda session: fair_shares.dispatch_source(session, "classify", 5, 0, 10))
    plans += _plans(lambda session: fair_shares.waiting_sources(session, "classify", 5))
    assert len(plans) >= 3
    for plan in plans:
        # by age, the jobs of a requester with few of them are behind those of all others
        assert "ix_jobs_share" in plan
        assert "ix_jobs_due" not in plan, plan
        assert "Seq Scan on jobs" not in plan, plan
