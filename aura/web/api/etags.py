"""ETag, If-Match and If-None-Match of tickets (RFC 9110, sections 8.8.3 and 13.1).

The tag of a ticket has two parts, `"STATE-WHOLE"`. WHOLE is a digest of the response, so `If-None-Match` answers 304 only
when nothing in it changed. STATE is a digest of what people change: status, assignee, resolution, comments, and the category
and priority that a person set. `If-Match` compares STATE alone: otherwise each verdict, delivery or attempt between reading
and writing would refuse the change of a person, which a machine never overwrites anyway.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Header, HTTPException
from sqlalchemy.orm import Session

from db import ticket_actions

#: Columns of the state; `*_by` decides whether the category and the priority belong to it.
STATE_COLUMNS = (
    *("id", "status", "assignee", "resolution", "category", "category_by", "priority", "priority_by", "changed_at"),
)
#: Characters of a condition, and tags of one.
MAX_LENGTH, MAX_TAGS = 4_000, 100

_TAG = re.compile(r'(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"')

#: A header may be repeated; its values are one list (RFC 9110, section 5.3).
IfMatch = Annotated[
    list[str] | None,
    Header(
        alias="If-Match", description="Change the ticket only if its state is that of one of these ETags; else 412."
    ),
]
IfNoneMatch = Annotated[
    list[str] | None,
    Header(alias="If-None-Match", description="Answer 304 if the ticket still has one of these ETags."),
]


def state_of(ticket: Mapping[str, Any]) -> str:
    """Return the digest of the state of a ticket, which has the STATE_COLUMNS."""
    changed_at: datetime | None = ticket["changed_at"]
    human = {name: ticket[name] if ticket[f"{name}_by"] == "human" else None for name in ("category", "priority")}
    values = (ticket["id"], ticket["status"], ticket["assignee"], ticket["resolution"], *human.values())
    moment = changed_at.timestamp() if changed_at else None
    return hashlib.blake2b(repr((values, moment)).encode(), digest_size=9).hexdigest()


def created_tag(ticket_id: int) -> str:
    """Return the ETag of a ticket that was created just now. A repeated request may get an old one, which is refused later."""
    new = dict.fromkeys(STATE_COLUMNS) | {"id": ticket_id, "status": "open", "resolution": ""}
    return f'"{state_of(new)}"'


def tag_of(ticket: Mapping[str, Any], body: bytes) -> str:
    """Return the ETag of a response with this body."""
    return f'"{state_of(ticket)}-{hashlib.blake2b(body, digest_size=9).hexdigest()}"'


def parse(name: str, value: str) -> list[tuple[bool, str]] | None:
    """Return the tags of a condition, each with whether it is weak; None for `*`. Raises HTTPException 400."""
    text = value.strip()
    if text == "*":
        return None
    tags: list[tuple[bool, str]] = []
    at = 0
    while at < len(text) <= MAX_LENGTH and len(tags) < MAX_TAGS:
        if text[at] in ", \t":
            at += 1
            continue
        found = _TAG.match(text, at)
        if found is None or (found.end() < len(text) and text[found.end()] not in ", \t"):
            break
        tags.append((found["weak"] is not None, found["tag"]))
        at = found.end()
    if not tags or at < len(text):
        raise HTTPException(
            400, f'{name}: must be * or ETags in double quotes, such as "a1b2-c3d4", separated by commas'
        )
    return tags


def is_unchanged(if_none_match: Sequence[str] | None, tag: str) -> bool:
    """Return whether the condition of a GET names the tag, by weak comparison. Raises HTTPException 400."""
    if if_none_match is None:
        return False
    tags = parse("If-None-Match", ", ".join(if_none_match))
    return tags is None or tag.strip('"') in [each for _, each in tags]


def require_match(session: Session, ticket_id: int, if_match: Sequence[str] | None) -> None:
    """Lock the ticket and check the condition of a change; without a condition, do nothing.

    Call it in the transaction of the change: the lock keeps the state until it ends. Raises HTTPException 400 for a
    malformed condition and 412 for another state, UnknownTicket.
    """
    if if_match is None:
        return
    tags = parse("If-Match", ", ".join(if_match))
    state = state_of(ticket_actions.lock_columns(session, ticket_id, STATE_COLUMNS))
    # strong comparison: a weak tag never matches
    if tags is not None and state not in [tag.partition("-")[0] for weak, tag in tags if not weak]:
        detail = (
            f'If-Match: the ticket has changed since, its ETag is now "{state}"; read it again before you change it'
        )
        raise HTTPException(412, detail, {"ETag": f'"{state}"'})


def new_tag(session: Session, ticket_id: int, if_match: Sequence[str] | None) -> dict[str, str]:
    """Return the ETag header after a change that had a condition: the next change needs the new state."""
    if if_match is None:
        return {}
    return {"ETag": f'"{state_of(ticket_actions.lock_columns(session, ticket_id, STATE_COLUMNS))}"'}
