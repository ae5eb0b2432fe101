"""The steps of a ticket's journey: receive, intake, classify (or reanalyze); then comes notify, in `actors.notify`.

Each gets what it is about, a batch at a time, and returns one result for each; order lives in `pipelines`, delivery in
`aura.jobs.actor` and its middleware.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.orm import Session

from actors import analysis
from actors.analysis import JOB_PRIORITY, Analysis, NotClassified
from aura.ai.text.clean import clean, clean_line, html_to_text
from aura.ai.text.duplicates import find_duplicate
from aura.ai.text.language import detect
from aura.ai.text.priority_rules import first_priority
from aura.jobs.actor import JobResult, durable
from aura.jobs.attempt import Permanent
from aura.jobs.registry import start
from aura.settings import explain, get_settings
from db import reading, tickets, traces
from db.jobs import Claimed
from db.new_tickets import NewTicket, parse_priority
from db.tickets import PREPARED_COLUMNS, TicketRow

logger = structlog.get_logger("aura.tickets")

#: Characters that a title and a description keep.
TITLE_LIMIT = 300
DESCRIPTION_LIMIT = 50_000
#: Days back that a duplicate is looked for.
DUPLICATE_DAYS = 7.0


# -- receive: a ticket that came as a message -------------------------------------------------------------------------


def save_received(session: Session, done: list[JobResult]) -> None:
    """Store each ticket once, and start its journey."""
    for each in done:
        new = tickets.create(session, "message", [each.result])
        if not new:
            logger.warning("a message that is known already adds no ticket", external_id=each.result[0].external_id)
        for ticket_id in new:
            with traces.within(each.traceparent):
                start("triage", ticket_id)


@durable(queue_name="tickets.intake", save=save_received)
def receive(messages: list[Claimed]) -> list[tuple[NewTicket, Any] | Permanent]:
    """Read tickets that other programs published as plain JSON; one that is no ticket goes to the dead letters."""
    results: list[tuple[NewTicket, Any] | Permanent] = []
    for message in messages:
        payload = json.loads(message.args[0])
        try:
            # a claim that nobody understands is no reason to lose a ticket; `raw` keeps it
            submission = NewTicket.model_validate(payload | {"priority": parse_priority(payload.get("priority"))})
        except ValidationError as error:
            results.append(Permanent(f"not a ticket: {explain(error)}"))
            continue
        # the sender's own id if there is one, else the message's: the same message twice is one ticket
        identity = submission.external_id or message.key
        results.append((submission.model_copy(update={"external_id": identity}), payload))
    return results


# -- intake: clean text, language, duplicate, first priority ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepared:
    """What intake found out about a ticket."""

    title: str
    description: str
    requester: str
    department: str
    language: str
    duplicate_of: int | None
    priority: str


def save_intake(session: Session, done: list[JobResult]) -> None:
    """Record the clean text, and queue what sounds urgent first."""
    fields = (*PREPARED_COLUMNS, "duplicate_of", "priority")
    tickets.save_prepared(
        session, [{"id": each.item.id} | {name: getattr(each.result, name) for name in fields} for each in done]
    )
    for each in done:
        each.priority = max(each.priority, JOB_PRIORITY[each.result.priority])


@durable(queue_name="tickets.intake", load=tickets.load, save=save_intake)
def intake(batch: list[TicketRow]) -> list[Prepared]:
    """Clean each ticket's text, detect its language, recognise a duplicate and set a first priority for the queue."""
    with reading() as session:
        recent = tickets.recent_open(session, [ticket.requester for ticket in batch], DUPLICATE_DAYS)
    return [_prepare(ticket, recent) for ticket in batch]


def _prepare(ticket: TicketRow, recent: Sequence[TicketRow]) -> Prepared:
    description = clean(html_to_text(ticket.description), DESCRIPTION_LIMIT)
    title = clean_line(html_to_text(ticket.title), TITLE_LIMIT) or clean_line(description, 80)
    requester = clean_line(ticket.requester, 254)
    earlier = [
        (other.id, f"{other.title}\n{other.description}")
        for other in recent
        if other.id < ticket.id and other.requester == ticket.requester
    ]
    return Prepared(
        title=title,
        description=description,
        requester=requester,
        department=clean_line(ticket.department, 200),
        language=detect(f"{title}\n{description}"),
        duplicate_of=find_duplicate(f"{title}\n{description}", earlier) if earlier else None,
        priority=first_priority(title, description, ticket.claimed_priority),
    )


# -- classify: category, priority and all that a verdict holds --------------------------------------------------------


#: A remote engine takes seconds a ticket, so its hints name one ticket each.
CLASSIFY_BATCH = 1 if get_settings().openai_api_key else get_settings().jobs_per_hint


@durable(queue_name="ai.classify", load=tickets.load, save=analysis.save, batch=CLASSIFY_BATCH)
def classify(batch: list[TicketRow]) -> list[Analysis | NotClassified]:
    """Ask the engine about each ticket."""
    return analysis.analyze(batch, analysis.classify_batch(batch))


def save_reanalyzed(session: Session, done: list[JobResult]) -> None:
    """Save what a second look gave."""
    analysis.save_reanalyzed(session, done, reanalyze.queue_name)


#: A second look is short, and takes its turn after everything that is new: nobody waits for it.
REANALYZE_BATCH = min(CLASSIFY_BATCH, 10)
LAST_OF_ALL = 100


@durable(
    queue_name="ai.reanalyze",
    load=tickets.load,
    save=save_reanalyzed,
    batch=REANALYZE_BATCH,
    background=True,
    priority=LAST_OF_ALL,
)
def reanalyze(batch: list[TicketRow]) -> list[Analysis | NotClassified]:
    """Ask again about tickets whose verdict is stale, in a queue of its own so that no new ticket waits for it."""
    return analysis.analyze(batch, analysis.reclassify_batch(batch))
