"""`python -m bench.retention`: retention by DELETE in batches against DROP of a partition, on PostgreSQL.

Both tables hold the attempts of 30 days. Each cycle is a day: its attempts are inserted, and those of the oldest day are
deleted in the batches of `db.retention`, or dropped with their partition. Printed are the seconds and the WAL of retention, and
the size of the table and its indexes from day to day, which must not grow. Autovacuum runs with the settings of the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from statistics import median
from typing import Any

import psycopg2
from rich.console import Console

from aura.settings import get_settings, given, use
from bench import page, results
from bench.services import Servers

#: Days of rows in the tables, and the share of the first size by which the last one may be larger.
DAYS, ALLOWED = 30, 1.1
#: Seconds that autovacuum gets after each cycle at most.
PATIENCE = 60.0
ROWS = """
    INSERT INTO {table} (job_id, actor, key, pipeline, number, worker, outcome, seconds, created_at)
    SELECT %(first)s + n, (ARRAY['intake', 'classify', 'notify', 'email'])[1 + n %% 4], ((%(first)s + n) / 4)::text, 'triage', 1,
           md5((n %% 4)::text), 'completed', 0.01, %(day)s + n * interval '1 day' / %(count)s
    FROM generate_series(0, %(count)s - 1) AS n
"""
PARTITIONED = (
    "CREATE TABLE partitioned (LIKE attempts INCLUDING DEFAULTS) PARTITION BY RANGE (created_at)",
    "CREATE INDEX ON partitioned (key, id)",
    "CREATE INDEX ON partitioned (id)",
)
SIZE = "SELECT pg_total_relation_size('attempts'), pg_indexes_size('attempts')"
DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'attempts'"


class Tables:
    """The two tables, with the attempts of so many days."""

    def __init__(self, cursor: Any, per_day: int) -> None:
        self._cursor, self._per_day = cursor, per_day
        cursor.execute("SELECT date_trunc('day', now()) - interval '1000 days'")
        self.first = cursor.fetchone()[0]
        for statement in PARTITIONED:
            cursor.execute(statement)

    def insert(self, number: int, table: str) -> None:
        """Insert the attempts of a day."""
        day = self.first + timedelta(days=number)
        if table == "partitioned":
            create = f"CREATE TABLE day_{number} PARTITION OF partitioned FOR VALUES FROM (%s) TO (%s)"
            self._cursor.execute(create, (day, day + timedelta(days=1)))
        values = {"first": number * self._per_day, "day": day, "count": self._per_day}
        self._cursor.execute(ROWS.format(table=table), values)

    def delete(self, number: int) -> dict[str, float]:
        """Delete the attempts of a day as the retention job does, without its pauses."""
        from db import retention, transaction

        day = self.first + timedelta(days=number + 1)
        rule = replace(
            retention.rules(1, 1, 1, 1, 1, 1)["attempts"], expired=lambda _day: retention.Attempt.created_at < day
        )
        batches: list[float] = []
        deleted = 0
        with self._wal() as wal:
            while True:
                start = time.perf_counter()
                with transaction() as session:
                    found = retention.delete_batch(session, rule, rule.batch or retention.BATCH)
                batches.append(time.perf_counter() - start)
                deleted += found
                if not found:
                    break
        assert deleted == self._per_day, deleted
        return {"seconds": sum(batches), "batch": median(batches[:-1]), "wal": wal.bytes}

    def drop(self, number: int) -> dict[str, float]:
        """Drop the partition of a day."""
        start = time.perf_counter()
        with self._wal() as wal:
            self._cursor.execute(f"ALTER TABLE partitioned DETACH PARTITION day_{number}")
            self._cursor.execute(f"DROP TABLE day_{number}")
        return {"seconds": time.perf_counter() - start, "wal": wal.bytes}

    def vacuumed(self) -> float:
        """Wait until autovacuum is done with the table; return the dead rows that are left."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self._cursor.execute("SELECT pg_stat_clear_snapshot()")
            self._cursor.execute(DEAD)
            dead = float(self._cursor.fetchone()[0])
            if dead < 0.05 * DAYS * self._per_day or time.monotonic() > deadline:
                return dead
            time.sleep(0.2)

    def _wal(self) -> _Wal:
        return _Wal(self._cursor)


class _Wal:
    """Counts the bytes of the write-ahead log."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.bytes = 0

    def __enter__(self) -> _Wal:
        self._cursor.execute("SELECT pg_current_wal_insert_lsn()")
        [self._start] = self._cursor.fetchone()
        return self

    def __exit__(self, *_error: object) -> None:
        self._cursor.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", (self._start,))
        self.bytes = int(self._cursor.fetchone()[0])


def measure(url: str, per_day: int, cycles: int) -> dict[str, Any]:
    """Return sizes after the filling and after each cycle, and the costs of deleting and dropping a day."""
    use(given(env="development", DATABASE_URL=url, LOG_LEVEL="ERROR"))
    get_settings.cache_clear()
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        tables = Tables(cursor, per_day)
        for number in range(DAYS):
            for table in ("attempts", "partitioned"):
                tables.insert(number, table)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(SIZE)
        first = cursor.fetchone()
        days = []
        for number in range(cycles):
            for table in ("attempts", "partitioned"):
                tables.insert(DAYS + number, table)
            deleted, dropped = tables.delete(number), tables.drop(number)
            dead = tables.vacuumed()
            cursor.execute(SIZE)
            total, indexes = cursor.fetchone()
            days.append({"deleted": deleted, "dropped": dropped, "dead": dead, "total": total, "indexes": indexes})
    connection.close()
    return {"per_day": per_day, "first": {"total": first[0], "indexes": first[1]}, "days": days}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.retention", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--per-day", type=int, default=100_000, help="attempts of a day (100,000; in 30 days 3,000,000)"
    )
    parser.add_argument("--cycles", type=int, default=10, help="days after the first 30 (10)")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    with Servers() as servers, Console(stderr=True).status("measuring"):
        found = results.surroundings(servers)
        with closing(psycopg2.connect(servers.postgresql.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")  # a day takes seconds here
                cursor.execute("SELECT pg_reload_conf()")
        found |= measure(servers.fresh_database(), asked.per_day, asked.cycles)
    print(json.dumps(results.rounded(found), indent=2))
    if not asked.dry:
        page.write(results.store("retention", found))
    largest = max(day["total"] for day in found["days"])
    return 0 if largest <= ALLOWED * (1 + 1 / DAYS) * found["first"]["total"] else 1


if __name__ == "__main__":
    sys.exit(main())
