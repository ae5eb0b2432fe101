"""Dead letters: groups of those alike, one with all that is known, replayed alone first and then together, or discarded."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.settings import get_settings
from aura.web.auth.identity import MAY_READ, Operator
from aura.web.pages.forms import back, form, recorded, whole
from aura.web.pages.render import page
from db import dead_letters, reading, transaction
from db.new_tickets import parse_json

router = APIRouter(include_in_schema=False)

Fields = Annotated[dict[str, str], Depends(form)]
#: Dead letters of one press of a button, which is one transaction.
MOST = 500
STATES = ("dead", "replayed", "discarded")


@router.get("/dead", response_class=HTMLResponse, dependencies=[MAY_READ])
def groups(
    request: Request, state: str = "dead", fingerprint: Annotated[str, Query(max_length=40)] = ""
) -> HTMLResponse:
    """Show the groups, or with a fingerprint those that are alike."""
    if state not in STATES:
        raise HTTPException(422, f"state must be one of {', '.join(STATES)}")
    with reading() as session:
        found = [] if fingerprint else dead_letters.groups(session, state)
        alike = dead_letters.listing(session, state, fingerprint=fingerprint) if fingerprint else []
        ready = len(dead_letters.replayable(session, fingerprint, MOST)) if fingerprint and state == "dead" else 0
        capped, unreadable = dead_letters.not_replayable(session, fingerprint) if fingerprint else (0, 0)
    return page(
        request,
        "dead_letters.html",
        groups=found,
        letters=alike,
        state=state,
        states=STATES,
        fingerprint=fingerprint,
        ready=ready,
        capped=capped,
        unreadable=unreadable,
        cap=get_settings().replay_limit,
        most=MOST,
    )


@router.get("/dead/{letter_id}", response_class=HTMLResponse, dependencies=[MAY_READ])
def show(request: Request, letter_id: int) -> HTMLResponse:
    with reading() as session:
        found = dead_letters.history(session, letter_id)
    raw = found["raw"]
    text = raw.decode("utf-8", "backslashreplace")[:20_000] if raw is not None else None
    return page(request, "dead_letter.html", letter=found, raw=text, args=json.dumps(found["args"], ensure_ascii=False))


@router.post("/dead/{letter_id}/replay")
@recorded("dead_letter.replay")
def replay(letter_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Replay one, with other arguments if they were edited."""
    args = _arguments(fields.get("args", ""))
    with transaction() as session:
        same = args is None or args == dead_letters.get(session, letter_id).args
        letter = dead_letters.replay(
            session, letter_id, args=None if same else args, force=fields.get("force") == "yes"
        )
    return back(f"/dead/{letter_id}", f"{letter.actor} of {letter.key} is due again, with fresh attempts")


@router.post("/dead/{letter_id}/discard")
@recorded("dead_letter.discard")
def discard(letter_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    with transaction() as session:
        dead_letters.discard(session, letter_id, _reason(fields))
    return back("/dead", f"dead letter {letter_id} is discarded")


@router.post("/dead")
@recorded("dead_letter.{what}")
def many(fields: Fields, who: Operator) -> RedirectResponse:
    """Replay or discard those alike, the oldest first, at most so many."""
    fingerprint, limit = fields.get("fingerprint", ""), whole(fields, "limit", 1, MOST) or MOST
    if not fingerprint:
        raise HTTPException(422, "fingerprint must name those that are alike")
    what = fields.get("what", "")
    with transaction() as session:
        if what == "discard":
            ids = dead_letters.discardable(session, fingerprint, limit)
            done = dead_letters.discard_many(session, ids, _reason(fields))
            return back("/dead", f"{done} discarded")
        if what == "replay":
            done = dead_letters.replay_many(session, dead_letters.replayable(session, fingerprint, limit))
            return back(f"/dead?fingerprint={fingerprint}", f"{done} are due again")
    raise HTTPException(422, "what must be replay or discard")


def _reason(fields: dict[str, str]) -> str:
    reason = fields.get("reason", "").strip()
    if not reason:
        raise HTTPException(422, "say why: the reason is kept with the dead letter")
    return reason


def _arguments(text: str) -> list[Any] | None:
    if not text.strip():
        return None
    try:
        found = parse_json(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise HTTPException(422, 'args must be a JSON list, such as ["first", 2]')
    return found
