"""The actors `receive` and `intake`: store tickets published as messages, and prepare the text of every new ticket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.orm import Session

from actors.analysis import JOB_PRIORITY
from actors.footers import follow_footers
from aura.ai.text.clean import clean, clean_line
from aura.ai.text.duplicates import find_duplicate
from aura.ai.text.html import plain_text
from aura.ai.text.language import detect
from aura.ai.text.priority_rules import first_priority
from aura.errors import Conflict
from aura.jobs.actor import JobResult, durable
from aura.jobs.attempt import Permanent
from aura.jobs.pipeline import start
from aura.settings import explain
from db import dead_letters, reading, tickets, traces
from db.fair_shares import share_of
from db.jobs import Claimed
from db.new_tickets import NewTicket, parse_priority
from db.text import storable
from db.tickets import PREPARED_COLUMNS, TicketRow

logger = structlog.get_logger("aura.tickets")

QUEUE = "tickets.intake"
#: Characters of a prepared title and description.
TITLE_LIMIT = 300
DESCRIPTION_LIMIT = 50_000
#: Sources whose texts are plain: aura.mail converts HTML itself.
PLAIN_SOURCES = ("email",)
#: Age in days of the tickets that a new one can be a duplicate of.
DUPLICATE_DAYS = 7.0


# -- receive: a ticket published as a message -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """A ticket that was published as a message, with its original payload and the account of its sender, if known."""

    ticket: NewTicket
    payload: dict[str, Any]
    account: str
    #: The message as JSON text.
    body: str


class ReusedId(Conflict):
    """The external_id of a message names a ticket of the same account that was created from another message."""


def save_received(session: Session, done: list[JobResult]) -> None:
    """Store each ticket once, and start triage for the new ones; a used external_id with another body is a dead letter."""
    received: list[Received] = [each.result for each in done]
    clients = [f"account {each.account}" if each.account else "" for each in received]
    stored = tickets.create_once(session, "message", [(each.ticket, each.payload) for each in received], clients)
    for each, message, ticket in zip(done, received, stored, strict=True):
        if ticket.is_new:
            with traces.within(each.traceparent):
                source = f"message:{message.account}"
                start("triage", ticket.id, share=share_of(source, message.ticket.requester))
        elif ticket.differs:
            error = ReusedId(
                f"external_id {str(message.ticket.external_id)[:80]!r} is that of ticket {ticket.id}, which has another body; "
                f"they differ in {', '.join(storable(name)[:80] for name in ticket.differs[:10])}"
            )
            dead_letters.record_message(session, QUEUE, message.body.encode("utf-8", "replace"), error)
        else:
            logger.warning("duplicate message ignored", ticket=ticket.id)


@durable(queue_name=QUEUE, save=save_received)
def receive(messages: list[Claimed]) -> list[Received | Permanent]:
    """Parse tickets that other programs published as JSON; a message that is no ticket becomes a dead letter."""
    results: list[Received | Permanent] = []
    for message in messages:
        body, account = message.args[0], message.args[1] if len(message.args) > 1 else ""
        payload = json.loads(body)
        try:
            # an unknown priority does not reject the ticket; the original payload is stored
            ticket = NewTicket.model_validate(payload | {"priority": parse_priority(payload.get("priority"))})
        except ValidationError as error:
            results.append(Permanent(f"not a ticket: {explain(error)}"))
            continue
        # the id of the sender, or else of the message, so that a repeated message is one ticket
        external_id = ticket.external_id or message.key
        results.append(Received(ticket.model_copy(update={"external_id": external_id}), payload, account, body))
    return results


# -- intake: text, language, duplicate, first priority ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepared:
    """The cleaned fields of a ticket, with its language, the ticket that it duplicates, and a first priority."""

    title: str
    description: str
    requester: str
    department: str
    language: str
    duplicate_of: int | None
    priority: str


def save_intake(session: Session, done: list[JobResult]) -> None:
    """Save the prepared fields; the next step gets the first priority."""
    fields = (*PREPARED_COLUMNS, "duplicate_of", "priority")
    tickets.save_prepared(
        session, [{"id": each.item.id} | {name: getattr(each.result, name) for name in fields} for each in done]
    )
    for each in done:
        each.priority = max(each.priority, JOB_PRIORITY[each.result.priority])


@durable(queue_name=QUEUE, load=tickets.load, save=save_intake)
def intake(batch: list[TicketRow]) -> list[Prepared]:
    """Clean each ticket's text, detect its language and whether it is a duplicate, and set a first priority."""
    with reading() as session:
        follow_footers(session)
        recent = tickets.recent_open(session, [ticket.requester for ticket in batch], DUPLICATE_DAYS)
    return [prepare(ticket, recent) for ticket in batch]


def prepare(ticket: TicketRow, recent: Sequence[TicketRow]) -> Prepared:
    """Return the prepared fields of a ticket; `recent` are open tickets that it can be a duplicate of."""
    # the text of a mail is plain already, and may show tags as an example
    as_text = str if ticket.source in PLAIN_SOURCES else plain_text
    description = clean(as_text(ticket.description), DESCRIPTION_LIMIT)
    title = clean_line(as_text(ticket.title), TITLE_LIMIT) or clean_line(description, 80)
    text = f"{title}\n{description}"
    earlier = [
        (other.id, f"{other.title}\n{other.description}")
        for other in recent
        # a stranger who forged the address of the requester must not hide a ticket of theirs
        if other.id < ticket.id and other.requester == ticket.requester and other.sender_verified is not False
    ]
    return Prepared(
        title=title,
        description=description,
        requester=clean_line(ticket.requester, 254),
        department=clean_line(ticket.department, 200),
        language=detect(text),
        duplicate_of=find_duplicate(text, earlier) if earlier else None,
        priority=first_priority(title, description, ticket.claimed_priority),
    )
