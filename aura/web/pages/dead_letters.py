"""Pages /dead-letters: groups with the same error, one dead letter with its attempts, replay and discard."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.errors import InvalidInput
from aura.settings import get_settings
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import Fields, audited, integer, reason, redirect
from aura.web.render import page
from db import dead_letters, reading, transaction
from db.text import parse_json

router = APIRouter(prefix="/dead-letters")

#: The most dead letters of one action, which is one transaction.
MAX_AT_ONCE = 500
#: Bytes of a message that the page shows.
SHOWN = 20_000
STATES = ("dead", "replayed", "discarded")


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def list_dead_letters(
    request: Request, state: str = "dead", fingerprint: Annotated[str, Query(max_length=40)] = ""
) -> HTMLResponse:
    """Show the groups, or the dead letters of the group with that fingerprint."""
    if state not in STATES:
        raise InvalidInput(f"state: must be one of {', '.join(STATES)}")
    with reading() as session:
        groups = [] if fingerprint else dead_letters.groups(session, state)
        letters = dead_letters.listing(session, state, fingerprint=fingerprint) if fingerprint else []
        open_group = bool(fingerprint) and state == "dead"
        replayable = len(dead_letters.replayable(session, fingerprint, MAX_AT_ONCE)) if open_group else 0
        capped, unreadable = dead_letters.not_replayable(session, fingerprint) if fingerprint else (0, 0)
    return page(
        request,
        "dead_letters.html",
        groups=groups,
        letters=letters,
        state=state,
        states=STATES,
        fingerprint=fingerprint,
        replayable=replayable,
        capped=capped,
        unreadable=unreadable,
        replay_limit=get_settings().replay_limit,
        most=MAX_AT_ONCE,
    )


@router.get("/{letter_id}", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def show_dead_letter(request: Request, letter_id: int) -> HTMLResponse:
    with reading() as session:
        letter = dead_letters.history(session, letter_id, SHOWN)
    raw = letter["raw"]
    text = raw.decode("utf-8", "backslashreplace") if raw is not None else None
    args = json.dumps(letter["args"], ensure_ascii=False)
    return page(request, "dead_letter.html", letter=letter, raw=text, args=args)


@router.post("/{letter_id}/replay")
@audited("dead_letter.replay")
def replay(letter_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Replay a dead letter, with other arguments if they were edited."""
    args = _arguments(fields.get("args", ""))
    with transaction() as session:
        unchanged = args is None or args == dead_letters.get(session, letter_id).args
        letter = dead_letters.replay(
            session, letter_id, args=None if unchanged else args, force=fields.get("force") == "yes"
        )
    return redirect(f"/dead-letters/{letter_id}", f"Replayed: {letter.actor} of {letter.key} is available again.")


@router.post("/{letter_id}/discard")
@audited("dead_letter.discard")
def discard(letter_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    with transaction() as session:
        dead_letters.discard(session, letter_id, reason(fields))
    return redirect("/dead-letters", f"Dead letter {letter_id} discarded.")


@router.post("")
@audited("dead_letter.{action}")
def change_group(fields: Fields, who: Operator) -> RedirectResponse:
    """Replay or discard the dead letters of a group, the oldest first, up to a limit."""
    fingerprint, limit = fields.get("fingerprint", ""), integer(fields, "limit", 1, MAX_AT_ONCE) or MAX_AT_ONCE
    if not fingerprint:
        raise InvalidInput("fingerprint: is needed")
    with transaction() as session:
        match fields.get("action", ""):
            case "discard":
                ids = dead_letters.discardable(session, fingerprint, limit)
                count = dead_letters.discard_many(session, ids, reason(fields))
                return redirect("/dead-letters", f"{count} discarded.")
            case "replay":
                count = dead_letters.replay_many(session, dead_letters.replayable(session, fingerprint, limit))
                return redirect(f"/dead-letters?fingerprint={fingerprint}", f"{count} replayed.")
    raise InvalidInput("action: must be replay or discard")


def _arguments(text: str) -> list[Any] | None:
    if not text.strip():
        return None
    try:
        args = parse_json(text)
    except ValueError:
        args = None
    if not isinstance(args, list):
        raise InvalidInput('args: must be a JSON list, such as ["first", 2]')
    return args
