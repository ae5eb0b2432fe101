"""Dead letters: what was given up, and why; replay it, or give it up for good."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from aura.web.api.fields import Because, Most, Number, Said, Text, Word
from aura.web.auth.identity import Operator, Reader
from db import audit, dead_letters, reading

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

State = Literal["dead", "replayed", "discarded"]


class Replay(Said):
    """How to replay one."""

    args: list[Any] | None = Field(None, max_length=20, description="Other arguments for the job.")
    force: bool = Field(False, description="Also when it was replayed too often, or discarded.")


class Alike(Said):
    """Which of those that wait: all alike, the oldest first."""

    fingerprint: Text = Field(min_length=1, max_length=12, examples=["3f2a9c81d0aa"])
    limit: int = Field(500, ge=1, le=500, description="At most so many; begin with 1, as a canary.")


class AlikeBecause(Alike, Because):
    """Which, and why."""


@router.get("", summary="Dead letters")
def list_(
    _who: Reader, state: State = "dead", actor: Word = None, fingerprint: Word = None, limit: Most = 50
) -> dict[str, list[dict[str, Any]]]:
    """Return dead letters, the newest first."""
    with reading() as session:
        return {"dead_letters": dead_letters.listing(session, state, limit, actor=actor, fingerprint=fingerprint)}


@router.get("/groups", summary="Dead letters by what went wrong")
def groups(_who: Reader, state: State = "dead", limit: Most = 50) -> dict[str, list[dict[str, Any]]]:
    """Return the kinds of dead letters, the most frequent first: a hundred alike are one line."""
    with reading() as session:
        return {"groups": dead_letters.groups(session, state, limit)}


@router.get("/{number}", summary="One dead letter")
def show(number: Number, _who: Reader) -> dict[str, Any]:
    """Return one dead letter with every attempt's error; a message that could not be read has its bytes in hexadecimal."""
    with reading() as session:
        story = dead_letters.history(session, number)
    raw = story.pop("raw")
    return story | {"raw_hex": None if raw is None else raw.hex()}


@router.post("/replay", summary="Replay all alike")
def replay_alike(said: Alike, who: Operator) -> dict[str, int]:
    """Promise the work of all alike again, with fresh attempts. What was replayed too often is left alone."""
    with audit.acting(who, "dead_letter.replay", f"fingerprint/{said.fingerprint}", limit=said.limit) as session:
        ids = dead_letters.replayable(session, said.fingerprint, said.limit)
        return {"replayed": dead_letters.replay_many(session, ids)}


@router.post("/discard", summary="Discard all alike")
def discard_alike(said: AlikeBecause, who: Operator) -> dict[str, int]:
    """Give the work of all alike up for good; the rows and the reason stay."""
    with audit.acting(
        who, "dead_letter.discard", f"fingerprint/{said.fingerprint}", limit=said.limit, reason=said.reason
    ) as session:
        ids = dead_letters.discardable(session, said.fingerprint, said.limit)
        return {"discarded": dead_letters.discard_many(session, ids, said.reason)}


@router.post("/{number}/replay", summary="Replay one")
def replay(number: Number, said: Replay, who: Operator) -> dict[str, Any]:
    """Promise the work again, with fresh attempts."""
    with audit.acting(who, "dead_letter.replay", f"dead_letter/{number}", force=said.force) as session:
        letter = dead_letters.replay(session, number, args=said.args, force=said.force)
        return {"id": number, "actor": letter.actor, "key": letter.key}


@router.post("/{number}/discard", summary="Discard one")
def discard(number: Number, said: Because, who: Operator) -> dict[str, Any]:
    """Give the work up for good; the row and the reason stay."""
    with audit.acting(who, "dead_letter.discard", f"dead_letter/{number}", reason=said.reason) as session:
        dead_letters.discard(session, number, said.reason)
    return {"id": number, "state": "discarded"}
