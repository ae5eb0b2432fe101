"""`python -m bench.pages`: how long each page and each list of the API takes with a million tickets in PostgreSQL.

The tables are filled by SQL, in the shares of a busy desk; then one web process, as the Procfile starts it, is asked for
every page in turn, each ROUNDS times. The slowest answer counts: it must come within LIMIT milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

import psycopg2
from rich.console import Console

from bench.intake import Web
from bench.services import ROOT, DurablePostgreSQL
from bench.tables import Grid
from tests.access import AUTHORIZATION

TICKETS, ROUNDS, LIMIT = 1_000_000, 10, 200.0
#: One in so many tickets of the newest tenth waits for a review, is soon due, is late; the older ones are done.
REVIEW, WARNED, LATE = 5, 7, 3
#: What fills the tables; {n} is how many tickets.
FILL = (
    """INSERT INTO tickets (source, raw, title, description, requester, department, language, category, category_by, priority,
           priority_by, confidence, needs_review, status, assignee, stage, notified_version, sla_state, due_at,
           created_at, classified_at, notified_at)
       SELECT 'http', '{{}}', 'VPN drops ' || n, 'Since ' || n || ' nobody reaches the server in building ' || n %% 40,
           'p' || n %% 5000 || '@example.com', 'D' || n %% 50, 'en',
           (ARRAY['Hardware','Software','Network','Email','Access','Security','Other'])[1 + n %% 7], 'engine',
           (ARRAY['low','medium','high','critical'])[1 + n %% 4], 'engine', 0.9,
           n > {n} * 0.9 AND n %% {review} = 0, CASE WHEN n > {n} * 0.9 THEN 'open' ELSE 'closed' END, 'Agent ' || n %% 200,
           'notified', 1, CASE WHEN n <= {n} * 0.9 THEN '' WHEN n %% {late} = 0 THEN 'breached'
               WHEN n %% {warned} = 0 THEN 'warned' ELSE '' END, now(), at, at, at
       FROM (SELECT n, now() - ({n} - n) * interval '2 seconds' AS at FROM generate_series(1, {n}) AS n) AS numbered""",
    """INSERT INTO verdicts (ticket_id, engine, model, prompt_version, category, confidence, priority, priority_confidence,
           reason, needs_review, fallback, input_tokens, output_tokens, latency_ms, created_at)
       SELECT id, 'local', 'shipped', '', category, 0.9, priority, 0.8, 'Network, because of "VPN"', needs_review, '', 0, 0, 1,
           created_at FROM tickets""",
    """INSERT INTO attempts (job_id, actor, key, pipeline, number, worker, outcome, seconds, created_at)
       SELECT id * 3 + place, actor, id::text, 'triage', 1, 'w', 'completed', 0.01, created_at
       FROM tickets, unnest(ARRAY['intake', 'classify', 'notify']) WITH ORDINALITY AS steps (actor, place)""",
    """INSERT INTO notifications (id, dedupe_key, ticket_id, event, channel, recipient, role, state, subject, body,
           provider_id, created_at)
       SELECT md5(id::text), id::text, id, 'ticket.classified', 'email', requester, 'requester', 'sent', title, 'Hello', '',
           created_at FROM tickets""",
    """INSERT INTO jobs (actor, key, args, pipeline, "next_steps", priority, due_at, created_at)
       SELECT 'classify', id::text, '[]', 'triage', '["notify"]', id %% 10, now(), now() FROM tickets WHERE id > {n} * 0.9""",
    """INSERT INTO dead_letters (actor, key, args, pipeline, "next_steps", priority, attempts, error_type, error, traceback,
           fingerprint, created_at)
       SELECT 'email', id::text, '[]', '', '[]', 0, 8, 'ChannelError', 'refused ' || id, '', lpad((id %% 30)::text, 12, '0'),
           now() FROM tickets WHERE id %% 50 = 0""",
    """INSERT INTO audit_log (at, who, action, subject, details)
       SELECT created_at, 'user ada', 'ticket.correct', 'ticket/' || id, '{{}}' FROM tickets WHERE id %% 10 = 0""",
)
PAGES = (
    *("/", "/tickets", "/tickets?q=is:open+-is:assigned", "/tickets?q=needs:review", "/tickets?q=is:open+is:late"),
    *("/tickets?q=category:security+priority:critical+needs:review+%22vpn%22", "/tickets?q=nothing+like+this"),
    *(
        "/tickets/17",
        "/review",
        "/review?skip=100",
        "/jobs",
        "/jobs?actor=classify&state=available",
        "/queues",
        "/dead-letters",
    ),
    *(
        "/dead-letters?fingerprint=000000000000",
        "/dead-letters/1",
        "/incidents",
        "/schedules",
        "/workers",
        "/ai",
        "/audit",
    ),
    *("/charts/seconds.json", "/api/v1/tickets", "/api/v1/tickets?needs_review=true", "/api/v1/tickets?sort=-priority"),
    *("/api/v1/tickets?status=open&sort=-priority", "/api/v1/tickets?assignee=nobody+at+all", "/api/v1/jobs"),
    *("/api/v1/queues", "/api/v1/dead-letters", "/api/v1/dead-letters/groups", "/api/v1/audit", "/api/v1/ai/costs"),
)


def fill(url: str, tickets: int, console: Console) -> None:
    """Fill the migrated, empty tables."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in FILL:
            started = time.perf_counter()
            cursor.execute(statement.format(n=tickets, review=REVIEW, warned=WARNED, late=LATE).replace("%%", "%"))
            console.print(f"{cursor.rowcount:>9,} {statement.split()[2]} in {time.perf_counter() - started:.0f} s")
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def ask(port: int, path: str) -> tuple[float, int]:
    """Return the milliseconds and the bytes of an answer, which must be a good one."""
    wanted = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": "text/html"} | AUTHORIZATION)
    started = time.perf_counter()
    with urllib.request.urlopen(wanted, timeout=60) as answer:
        size = len(answer.read())
    return (time.perf_counter() - started) * 1000, size


def measure(port: int) -> list[dict[str, Any]]:
    """Ask for every page; the first answer, which connects and compiles, is left out."""
    found = []
    for path in PAGES:
        ask(port, path)
        took = [ask(port, path) for _ in range(ROUNDS)]
        times = [each for each, _ in took]
        found.append({"path": path, "median": statistics.median(times), "worst": max(times), "bytes": took[0][1]})
    return found


def main() -> int:
    """Fill, measure, print, and fail when a page takes longer than it may."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--tickets", type=int, default=TICKETS, help=f"tickets in the tables ({TICKETS:,})")
    asked = parser.parse_args()
    console = Console(stderr=True)
    with DurablePostgreSQL() as server:
        url = server.create_database()
        environment = {
            **os.environ,
            "AURA_ENV": "development",
            "DATABASE_URL": url,
            "RABBITMQ_URL": "amqp://nobody@127.0.0.1:1/",
            "LOG_LEVEL": "ERROR",
        }
        migrate = [sys.executable, "-m", "aura", "migrate"]
        subprocess.run(migrate, env=environment, check=True, cwd=ROOT, capture_output=True)
        fill(url, asked.tickets, console)
        with Web(environment | {"PYTHONPATH": str(ROOT)}) as web:
            found = measure(web.port)
    grid = Grid("Pages and lists", ["", "ms, median", "ms, worst", "kB"])
    for each in sorted(found, key=lambda each: -each["worst"]):
        grid.rows.append([each["path"], f"{each['median']:.0f}", f"{each['worst']:.0f}", f"{each['bytes'] / 1000:.0f}"])
    Console().print(grid.rich())
    slow = [each["path"] for each in found if each["worst"] > LIMIT]
    console.print(f"slower than {LIMIT:.0f} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
