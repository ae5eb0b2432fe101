"""The ceiling: raw pika and psycopg2, a batch at a time, one message, one round trip and a few statements per batch.

`python -m bench.peers.ceiling` works. It has the effects of the others in tickets, verdicts and notifications, but no job
rows, no retries and no recovery: what is left when only the work and its transport remain.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import lru_cache
from typing import Any

import pika
import psycopg2
from psycopg2.extras import Json, NamedTupleCursor, execute_values

from actors.analysis import classify_batch
from actors.intake import DUPLICATE_DAYS, prepare
from aura.notifications import Agent
from bench.peers import steps

#: Most keys of one message and about the most of one batch, and how many messages the broker may send ahead.
BATCH, PREFETCH = 100, 50

TICKETS = """
    SELECT id, title, description, requester, department, language, claimed_priority, category, priority, assignee,
           duplicate_of, version, notified_version, source, incident_id, status, due_at, needs_review,
           no_auto_reply, silent, sender_verified
    FROM tickets WHERE id = ANY(%s) ORDER BY id
"""
RECENT = """
    SELECT id, title, description, requester FROM tickets
    WHERE requester = ANY(%s) AND status IN ('open', 'in_progress', 'pending')
      AND created_at >= statement_timestamp() - %s * interval '1 day'
    ORDER BY id DESC LIMIT 1000
"""
SAVE_PREPARED = """
    UPDATE tickets t SET title = v.title, description = v.description, requester = v.requester,
        department = v.department, language = v.language, duplicate_of = v.duplicate_of,
        stage = CASE t.stage WHEN 'received' THEN 'prepared' ELSE t.stage END
    FROM (VALUES %s) AS v (id, title, description, requester, department, language, duplicate_of) WHERE t.id = v.id
"""
SAVE_VERDICTS = f"""
    INSERT INTO verdicts (ticket_id, needs_review, {", ".join(steps.VERDICT_COLUMNS)}, created_at) VALUES %s
"""
MAKE_CURRENT = """
    UPDATE tickets t SET
        version = t.version + CASE WHEN CASE t.category_by WHEN 'human' THEN t.category ELSE v.category END <> t.category
            OR CASE t.priority_by WHEN 'human' THEN t.priority ELSE v.priority END <> t.priority THEN 1 ELSE 0 END,
        category = CASE t.category_by WHEN 'human' THEN t.category ELSE v.category END,
        priority = CASE t.priority_by WHEN 'human' THEN t.priority ELSE v.priority END,
        category_by = CASE t.category_by WHEN 'human' THEN 'human' ELSE 'engine' END,
        priority_by = CASE t.priority_by WHEN 'human' THEN 'human' ELSE 'engine' END,
        confidence = v.confidence, needs_review = v.review, classified_at = statement_timestamp(),
        stage = CASE t.stage WHEN 'notified' THEN t.stage ELSE 'classified' END
    FROM (VALUES %s) AS v (id, category, priority, confidence, review) WHERE t.id = v.id
"""
REASONS = "SELECT DISTINCT ON (ticket_id) ticket_id, reason FROM verdicts WHERE ticket_id = ANY(%s) ORDER BY 1, id DESC"
STAFF = """
    SELECT a.name, a.email, a.skills, a.team, a.capacity, a.available,
        (SELECT count(*) FROM tickets t WHERE t.assignee = a.name AND t.status IN ('open', 'in_progress')) AS load
    FROM agents a
"""
WRITE = """
    INSERT INTO notifications (id, ticket_id, event, channel, recipient, role, dedupe_key, subject, body, data, state,
        sent_at, provider_id, created_at) VALUES %s
    ON CONFLICT (dedupe_key) DO NOTHING RETURNING id, channel
"""
SAVE_NOTIFIED = """
    UPDATE tickets t SET stage = 'notified', notified_at = statement_timestamp(), notified_version = v.version,
        assignee = coalesce(t.assignee, v.assignee)
    FROM (VALUES %s) AS v (id, version, assignee) WHERE t.id = v.id
"""
NOTIFICATIONS = "SELECT * FROM notifications WHERE id = ANY(%s) AND state = 'enqueued' ORDER BY id"
MARK_SENT = """
    UPDATE notifications n SET state = 'sent', sent_at = statement_timestamp(), provider_id = v.provider
    FROM (VALUES %s) AS v (id, provider) WHERE n.id = v.id
"""

Work = Callable[[Any, list[str]], Iterable[str]]


def intake(cursor: Any, keys: list[str]) -> Iterable[str]:
    batch = _all(cursor, TICKETS, _numbers(keys))
    recent: Any = _all(cursor, RECENT, [ticket.requester for ticket in batch], DUPLICATE_DAYS)
    found = [(ticket.id, prepare(ticket, recent)) for ticket in batch]
    rows = [(ticket_id, *(getattr(each, name) for name in steps.PREPARED)) for ticket_id, each in found]
    execute_values(cursor, SAVE_PREPARED, rows, "(%s, %s, %s, %s, %s, %s, %s::bigint)", BATCH)
    return keys


def classify(cursor: Any, keys: list[str]) -> Iterable[str]:
    batch: Any = _all(cursor, TICKETS, _numbers(keys))
    rows = [steps.verdict_row(ticket.id, verdict) for ticket, verdict in zip(batch, classify_batch(batch), strict=True)]
    values = f"({', '.join(['%s'] * (2 + len(steps.VERDICT_COLUMNS)))}, statement_timestamp())"
    execute_values(cursor, SAVE_VERDICTS, [tuple(row.values()) for row in rows], values, BATCH)
    current = [(r["ticket_id"], r["category"], r["priority"], r["confidence"], r["needs_review"]) for r in rows]
    execute_values(cursor, MAKE_CURRENT, current, page_size=BATCH)
    return keys


def notify(cursor: Any, keys: list[str]) -> Iterable[str]:
    batch: Any = _all(cursor, TICKETS, _numbers(keys))
    reasons = dict(_all(cursor, REASONS, _numbers(keys)))
    staff = [
        Agent(a.name, a.email, tuple(a.skills), a.team, a.capacity, a.load, a.available) for a in _all(cursor, STAFF)
    ]
    results = steps.triage_results(batch, reasons, staff)
    written = [steps.as_written(row) for result in results for row in result.rows]
    rows = [tuple((row | {"data": Json(row["data"])}).values()) for row in written]
    values = f"({', '.join(['%s'] * 12)}, '', statement_timestamp())"
    new = execute_values(cursor, WRITE, rows, values, 2 * BATCH, fetch=True) if rows else []
    marks = [(ticket.id, ticket.version, each.assignee) for ticket, each in zip(batch, results, strict=True)]
    execute_values(cursor, SAVE_NOTIFIED, marks, "(%s, %s, %s::text)", BATCH)
    return [row.id for row in new if row.channel == "email"]


def email(cursor: Any, keys: list[str]) -> Iterable[str]:
    sent = []
    for n in _all(cursor, NOTIFICATIONS, keys):
        sent.append((n.id, steps.email_channel().send(steps.mail(n))))
    if sent:
        execute_values(cursor, MARK_SENT, sent, page_size=BATCH)
    return ()


#: Queue, what is done with its messages, and the queue of what follows.
STAGES: tuple[tuple[str, Work, str], ...] = (
    ("intake", intake, "classify"),
    ("classify", classify, "notify"),
    ("notify", notify, "email"),
    ("email", email, ""),
)


def run(queue: str, work: Work, following: str) -> None:
    """Take what has arrived, work, commit, pass on and ack, for ever."""
    database = psycopg2.connect(steps.database_url(), cursor_factory=NamedTupleCursor)
    channel = pika.BlockingConnection(pika.URLParameters(steps.rabbitmq_url())).channel()
    channel.basic_qos(prefetch_count=PREFETCH)
    for name, _, _ in STAGES:
        channel.queue_declare(name, durable=True)
    channel.tx_select()
    for keys, tag in batches(channel, queue):
        with database, database.cursor() as cursor:
            passed_on = list(work(cursor, keys))
        publish(channel, following, passed_on)
        channel.basic_ack(tag, multiple=True)
        channel.tx_commit()


def batches(channel: Any, queue: str) -> Iterator[tuple[list[str], int]]:
    """Yield what has arrived, up to a batch, with the last delivery tag; waits for one message, never for more."""
    arriving = channel.consume(queue)
    for method, _, body in arriving:
        keys = body.decode().split()
        while len(keys) < BATCH and channel.get_waiting_message_count():
            method, _, body = next(arriving)
            keys += body.decode().split()
        yield keys, method.delivery_tag


def publish(channel: Any, queue: str, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), BATCH):
        body = " ".join(keys[start : start + BATCH])
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))


def send(ids: list[int]) -> None:
    """Publish the tickets' ids in one transaction with the broker."""
    channel = _outbox()
    publish(channel, "intake", [str(ticket_id) for ticket_id in ids])
    channel.tx_commit()


@lru_cache(maxsize=1)
def _outbox() -> Any:
    channel = pika.BlockingConnection(pika.URLParameters(steps.rabbitmq_url())).channel()
    channel.tx_select()
    return channel


def _all(cursor: Any, statement: str, *values: Any) -> list[Any]:
    cursor.execute(statement, values)
    rows: list[Any] = cursor.fetchall()
    return rows


def _numbers(keys: list[str]) -> list[int]:
    return [int(key) for key in keys]


if __name__ == "__main__":
    with ThreadPoolExecutor(len(STAGES)) as pool:
        for ended in as_completed([pool.submit(run, *stage) for stage in STAGES]):
            traceback.print_exception(ended.exception())
            os._exit(1)  # the others would work on without it
