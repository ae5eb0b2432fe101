"""Samples are cheap in a large database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from db import reading, transaction
from pipelines.scheduled_jobs import record_metric_samples


def test_no_query_reads_a_large_table_from_end_to_end(postgres: str):
    with transaction() as session:
        for statement in (
            "INSERT INTO tickets (source, raw, title, description, requester, department, language, created_at, notified_at)"
            " SELECT 'test', '{}', '', '', '', '', '', now() - make_interval(secs => 200000 - n), now()"
            " FROM generate_series(1, 20000) n",
            "INSERT INTO attempts (job_id, actor, key, pipeline, number, worker, outcome, seconds, created_at)"
            " SELECT n, 'notify', n::text, 'triage', 1, 'w', 'completed', 1, now() - make_interval(secs => 200000 - n)"
            " FROM generate_series(1, 20000) n",
            'INSERT INTO jobs (actor, key, args, pipeline, "next_steps", priority, due_at, created_at)'
            " SELECT 'classify', n::text, '[]', '', '[]', n % 10, now(), now() FROM generate_series(1, 20000) n",
        ):
            session.execute(text(statement))
    read = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname IN ('tickets', 'attempts', 'jobs')"
    with transaction() as session:
        session.execute(text("ANALYZE tickets, attempts, jobs"))

    def rows_read() -> Any:
        with transaction() as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with reading() as session:
            return session.scalar(text(read))

    before = rows_read()
    record_metric_samples()
    assert rows_read() == before
