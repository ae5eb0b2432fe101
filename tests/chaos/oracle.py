"""The oracle: compares what was acknowledged with what is in the database and with what the external services received.

It knows nothing of Aura's implementation and checks effects alone:

- lost: acknowledged with 202 and not finished, a mail that is recorded as sent and never arrived, or an unfinished
  ticket without a job;
- twice: an effect in the database that happened more than once, or two different mails about the same event;
- unexpected: a ticket that nobody sent, a mail without a notification, a dead letter, a job left behind.

The same mail twice, with the same Message-ID, is counted apart: that is allowed, for receivers can tell.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text

from tests.chaos.driver import Driver
from tests.chaos.external_services import LABEL, Desk, PostOffice, Provider, notification_of
from tests.chaos.system import SERVICE_DESK

#: Asks the database and returns the rows.
Rows = Callable[[str], Sequence[Any]]

#: Findings of one kind that a report names.
NAMED = 20

_STRANDED = """
    SELECT id FROM tickets
    WHERE stage <> 'notified'
      AND NOT EXISTS (SELECT FROM jobs WHERE key = tickets.id::text)
      AND NOT EXISTS (SELECT FROM dead_letters WHERE key = tickets.id::text)
"""


@dataclass
class Verdict:
    """What the oracle found; red when anything was lost, happened twice, or is unexpected."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    #: Numbers that say what happened without saying that it was wrong.
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def red(self) -> bool:
        return bool(self.lost or self.twice or self.unexpected)

    def __str__(self) -> str:
        lines = [f"{name}: {value:,}" for name, value in self.counts.items()]
        for name in ("lost", "twice", "unexpected"):
            found = getattr(self, name)
            lines += [f"{name}: {len(found):,}", *(f"  {each}" for each in found[:NAMED])]
        return "\n".join(lines)


def stranded(rows: Rows) -> list[int]:
    """Return tickets that are unfinished and have neither a job nor a dead letter.

    One statement sees one state, and a step completes and enqueues the next one in one transaction: so there must never
    be one, whatever fails just now.
    """
    return [row[0] for row in rows(_STRANDED)]


def at_rest(rows: Rows) -> bool:
    """Return whether no job is left and every event is published."""
    return not rows("SELECT 1 FROM jobs UNION ALL SELECT 1 FROM outbox LIMIT 1")


def judge(
    engine: Engine,
    driver: Driver,
    post: PostOffice,
    provider: Provider | None = None,
    desk: Desk | None = None,
    *,
    expected_dead: Iterable[int] = (),
) -> Verdict:
    """Return the verdict over a run that has come to rest; `expected_dead` are numbers that may end as dead letters."""
    verdict = Verdict()
    with engine.connect() as connection:

        def rows(query: str) -> Sequence[Any]:
            return connection.execute(text(query)).all()

        number_of = _tickets(rows, driver, set(expected_dead), verdict)
        _effects(rows, verdict)
        _mails(rows, number_of, driver, post, verdict)
        if desk is not None:
            _posts(rows, desk, verdict)
        _leftovers(rows, number_of, set(expected_dead), verdict)
    verdict.counts |= {
        "accepted": len(driver.accepted),
        "unknown": len(driver.unknown),
        "asked again": sum(driver.again.values()),
    }
    if provider is not None:
        verdict.counts["classifications asked for"] = sum(provider.asked.values())
        verdict.counts["of these repeats"] = sum(provider.asked.values()) - len(provider.asked)
    return verdict


def _tickets(rows: Rows, driver: Driver, expected_dead: set[int], verdict: Verdict) -> dict[int, int]:
    """Compare the answers with the tickets. Returns the number of each ticket by its id."""
    stage_of: dict[int, str] = {}
    number_of: dict[int, int] = {}
    for ticket_id, stage, raw in rows("SELECT id, stage, raw FROM tickets ORDER BY id"):
        stage_of[ticket_id] = stage
        label = LABEL.search(json.loads(raw)["title"])
        number = int(label[1]) if label else 0
        if number not in driver.numbers and number not in driver.published:
            verdict.unexpected.append(f"ticket {ticket_id} was never sent")
        number_of[ticket_id] = number
    verdict.twice += [
        f"ticket number {number} is in the table {times} times"
        for number, times in Counter(number_of.values()).items()
        if times > 1
    ]
    for number, ticket_id in sorted(driver.accepted.items()):
        if number_of.get(ticket_id) != number:
            verdict.lost.append(f"number {number} was accepted as ticket {ticket_id}, which is not it")
        elif stage_of[ticket_id] != "notified" and number not in expected_dead:
            verdict.lost.append(f"number {number} (ticket {ticket_id}) was accepted and is {stage_of[ticket_id]}")
    present = set(number_of.values())
    verdict.lost += [
        f"number {number} was confirmed by RabbitMQ and is not in the table"
        for number in sorted(driver.published - present)
    ]
    answered, unanswered = set(driver.accepted.values()), driver.unknown | driver.published
    for ticket_id, number in number_of.items():
        if ticket_id in answered:
            continue
        if number not in unanswered:
            verdict.unexpected.append(f"number {number} (ticket {ticket_id}) was refused and is in the table")
        if stage_of[ticket_id] != "notified" and number not in expected_dead:
            verdict.lost.append(f"number {number} (ticket {ticket_id}) is in the table and is {stage_of[ticket_id]}")
    verdict.unexpected += [f"number {number} was refused: {answer}" for number, answer in driver.refused.items()]
    verdict.counts["tickets"] = len(stage_of)
    return number_of


def _effects(rows: Rows, verdict: Verdict) -> None:
    """Look for effects in the database that happened more than once."""
    for what, query in (
        ("verdict on ticket", "SELECT ticket_id, count(*) FROM verdicts GROUP BY 1 HAVING count(*) > 1"),
        (
            "completed step",
            "SELECT actor || ' of ' || key, count(*) FROM attempts WHERE outcome = 'completed'"
            " GROUP BY actor, key, pipeline HAVING count(*) > 1",
        ),
        (
            # not by the dedupe key: whoever makes that wrong makes two
            "notification",
            "SELECT concat_ws(' ', ticket_id, event, channel, recipient), count(*) FROM notifications"
            " WHERE ticket_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1",
        ),
    ):
        verdict.twice += [f"{what} {about}: {times} times" for about, times in rows(query)]
    verdict.counts["notifications"] = rows("SELECT count(*) FROM notifications")[0][0]


def _mails(rows: Rows, number_of: dict[int, int], driver: Driver, post: PostOffice, verdict: Verdict) -> None:
    """Compare the notifications with the mails that arrived."""
    received = Counter(post.received)
    keys = {message_id: notification_of(message_id) for message_id in received}
    arrived = set(keys.values())
    ordered: dict[str, str] = {}
    notified: set[tuple[int, str]] = set()
    for key, ticket_id, channel, recipient, state in rows(
        "SELECT id, ticket_id, channel, recipient, state FROM notifications"
    ):
        notified.add((ticket_id, recipient))
        if channel == "email":
            ordered[key] = recipient
        if state != "sent":
            verdict.lost.append(f"the notice to {recipient} about ticket {ticket_id} is {state}")
        elif channel == "email" and key not in arrived:
            verdict.lost.append(
                f"the mail to {recipient} about ticket {ticket_id} is recorded as sent and never arrived"
            )
    for (ticket_id,) in rows("SELECT id FROM tickets WHERE stage = 'notified'"):
        for person in (driver.requester(number_of[ticket_id]), SERVICE_DESK):
            if (ticket_id, person) not in notified:
                verdict.lost.append(f"{person} has no notification about ticket {ticket_id}")
    verdict.unexpected += [f"mail {mail} has no notification" for mail, key in keys.items() if key not in ordered]
    same = Counter((post.tickets[mail], post.recipients[mail]) for mail in received)
    verdict.twice += [
        f"{times} different mails to {recipient} about ticket {ticket_id}"
        for (ticket_id, recipient), times in same.items()
        if times > 1
    ]
    verdict.counts["mails received"] = received.total()
    verdict.counts["different mails"] = len(received)
    verdict.counts["raw repeats"] = received.total() - len(received)
    verdict.counts["mails put off"] = post.put_off


def _posts(rows: Rows, desk: Desk, verdict: Verdict) -> None:
    """Compare the notifications for endpoints with the posts, by id (webhook) or by text (Slack)."""
    for channel, identity in (("webhook", "id"), ("slack", "subject")):
        received = desk.received[f"/{channel}"]
        ordered = dict(rows(f"SELECT {identity}, ticket_id FROM notifications WHERE channel = '{channel}'"))
        verdict.lost += [
            f"the {channel} message about ticket {ticket_id} is recorded as sent and never arrived"
            for each, ticket_id in ordered.items()
            if each not in received
        ]
        verdict.unexpected += [
            f"{channel} message {each} has no notification" for each in received if each not in ordered
        ]
        missing = (
            "SELECT id FROM tickets WHERE stage = 'notified' AND EXISTS (SELECT FROM subscriptions WHERE channel ="
            f" '{channel}') AND id NOT IN (SELECT ticket_id FROM notifications WHERE channel = '{channel}')"
        )
        verdict.lost += [f"{channel} has no notification about ticket {ticket_id}" for (ticket_id,) in rows(missing)]
        verdict.counts |= {
            f"{channel} messages received": received.total(),
            f"{channel} repeats": received.total() - len(received),
        }


def _leftovers(rows: Rows, number_of: dict[int, int], expected_dead: set[int], verdict: Verdict) -> None:
    """Look for what should be gone at the end."""
    for actor, key, error in rows("SELECT actor, key, last_error FROM jobs ORDER BY id"):
        verdict.unexpected.append(f"a job is left: {actor} of {key} ({error or 'no error'})")
    dead = set()
    for actor, key, error_type, error in rows(
        "SELECT actor, key, error_type, error FROM dead_letters WHERE state = 'dead' ORDER BY id"
    ):
        number = number_of.get(int(key)) if key.isdecimal() else None
        if number in expected_dead:
            dead.add(number)
        else:
            verdict.unexpected.append(f"a dead letter: {actor} of {key} ({error_type}: {error[:200]})")
    verdict.lost += [f"number {number} should be a dead letter and is none" for number in sorted(expected_dead - dead)]
    if events := rows("SELECT count(*) FROM outbox")[0][0]:
        verdict.unexpected.append(f"{events} events were never published")
    verdict.counts["attempts that crashed"] = rows("SELECT count(*) FROM attempts WHERE outcome = 'crashed'")[0][0]
    verdict.counts["attempts that failed"] = rows("SELECT count(*) FROM attempts WHERE outcome = 'retried'")[0][0]
