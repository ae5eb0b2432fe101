"""Resource dead letters: list them, replay or discard one, or all with the same error."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from actors.queues import actor_names
from aura.web.api.fields import Body, Filter, Id, Limit, Text, WithReason
from aura.web.auth.requirements import Operator, Reader
from aura.web.query_parameters import require_known_values
from db import audit, dead_letters, reading

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

#: Bytes of a message that a response contains.
SHOWN = 100_000
State = Literal["dead", "replayed", "discarded"]


class DeadLetter(BaseModel):
    """A job that failed permanently, or a message that could not be read, which has no `actor`."""

    id: int
    job_id: int | None
    actor: str
    key: str
    args: list[Any]
    pipeline: str
    next_steps: list[str]
    attempts: int
    replays: int
    error_type: str
    error: str
    #: The same for the same error at the same place in the code.
    fingerprint: str
    state: State
    reason: str
    created_at: datetime
    resolved_at: datetime | None


class DeadLetterDetails(DeadLetter):
    """A dead letter with every attempt at its job, and the first bytes of a message that could not be read."""

    ledger: list[dict[str, Any]]
    traceback: str
    raw_hex: str | None
    #: Bytes of the message that are stored; `raw_hex` holds at most 100,000 of them.
    raw_size: int | None


class DeadLetters(BaseModel):
    """Dead letters, the newest first."""

    dead_letters: list[DeadLetter]


class Group(BaseModel):
    """The dead letters with the same error: how many `letters`, and the key and error of the `newest`."""

    fingerprint: str
    actor: str
    error_type: str
    error: str
    letters: int
    first: datetime
    last: datetime
    newest: int
    key: str


class Groups(BaseModel):
    """Groups of dead letters, the largest first."""

    groups: list[Group]


class Replay(Body):
    """How to replay a dead letter."""

    args: list[Any] | None = Field(None, max_length=20, description="Other arguments for the job.")
    force: bool = Field(False, description="Also beyond the limit of replays, or when it was discarded.")


class SameError(Body):
    """The dead letters with the same error, the oldest first."""

    fingerprint: Text = Field(min_length=1, max_length=12, examples=["3f2a9c81d0aa"])
    limit: int = Field(500, ge=1, le=500, description="At most so many; replay 1 first.")


class DiscardSameError(SameError, WithReason):
    """Which dead letters to discard, and why."""


class ReplayedJob(BaseModel):
    """The dead letter that was replayed, and its job."""

    id: int
    actor: str
    key: str


class Replayed(BaseModel):
    """How many were replayed."""

    replayed: int


class Discarded(BaseModel):
    """How many were discarded."""

    discarded: int


class DiscardedLetter(BaseModel):
    """The dead letter that was discarded."""

    id: int
    state: State


@router.get("", summary="List dead letters")
def list_dead_letters(
    _who: Reader, state: State = "dead", actor: Filter = None, fingerprint: Filter = None, limit: Limit = 50
) -> DeadLetters:
    """Return dead letters, the newest first."""
    with reading() as session:
        rows = dead_letters.listing(session, state, limit, actor=actor, fingerprint=fingerprint)
    if not fingerprint:
        require_known_values("actor", [actor] if actor else None, actor_names(), rows)
    return DeadLetters(dead_letters=[DeadLetter.model_validate(row) for row in rows])


@router.get("/groups", summary="Group dead letters by error")
def list_groups(_who: Reader, state: State = "dead", limit: Limit = 50) -> Groups:
    """Return the dead letters by error, the most frequent error first."""
    with reading() as session:
        rows = dead_letters.groups(session, state, limit)
    return Groups(groups=[Group.model_validate(row) for row in rows])


@router.get("/{letter_id}", summary="Show a dead letter")
def show_dead_letter(letter_id: Id, _who: Reader) -> DeadLetterDetails:
    """Return a dead letter with the error of every attempt."""
    with reading() as session:
        found = dead_letters.history(session, letter_id, SHOWN)
    raw = found.pop("raw")
    return DeadLetterDetails.model_validate(found | {"raw_hex": None if raw is None else raw.hex()})


@router.post("/replay", summary="Replay all with the same error")
def replay_dead_letters(body: SameError, who: Operator) -> Replayed:
    """Enqueue the jobs again, with a new set of attempts. Those beyond the limit of replays are left out."""
    with audit.acting(who, "dead_letter.replay", f"fingerprint/{body.fingerprint}", limit=body.limit) as session:
        ids = dead_letters.replayable(session, body.fingerprint, body.limit)
        return Replayed(replayed=dead_letters.replay_many(session, ids))


@router.post("/discard", summary="Discard all with the same error")
def discard_dead_letters(body: DiscardSameError, who: Operator) -> Discarded:
    """Discard the dead letters. They and the reason stay for their retention time."""
    with audit.acting(
        who, "dead_letter.discard", f"fingerprint/{body.fingerprint}", limit=body.limit, reason=body.reason
    ) as session:
        ids = dead_letters.discardable(session, body.fingerprint, body.limit)
        return Discarded(discarded=dead_letters.discard_many(session, ids, body.reason))


@router.post("/{letter_id}/replay", summary="Replay a dead letter")
def replay_dead_letter(letter_id: Id, body: Replay, who: Operator) -> ReplayedJob:
    """Enqueue the job again, with a new set of attempts."""
    with audit.acting(who, "dead_letter.replay", f"dead_letter/{letter_id}", force=body.force) as session:
        letter = dead_letters.replay(session, letter_id, args=body.args, force=body.force)
        return ReplayedJob(id=letter_id, actor=letter.actor, key=letter.key)


@router.post("/{letter_id}/discard", summary="Discard a dead letter")
def discard_dead_letter(letter_id: Id, body: WithReason, who: Operator) -> DiscardedLetter:
    """Discard a dead letter. It and the reason stay for its retention time."""
    with audit.acting(who, "dead_letter.discard", f"dead_letter/{letter_id}", reason=body.reason) as session:
        dead_letters.discard(session, letter_id, body.reason)
    return DiscardedLetter(id=letter_id, state="discarded")
