"""Forms: what a browser sends, and where it goes afterwards. They work without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse

from db import audit
from db.new_tickets import storable

Answer = TypeVar("Answer")

#: Fields of one form.
MOST_FIELDS = 50
#: Fields that the audit leaves out: the token, and long texts, which stand in the ticket.
UNSAID = frozenset({"csrf", "text", "resolution"})


def recorded(action: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Run the route, whose `who` acts, in one transaction with the audit row that says so; what fails leaves none.

    The action may name what the path or the form says: `recorded("schedule.{what}")`.
    """

    def decorate(route: Callable[..., Answer]) -> Callable[..., Answer]:
        @wraps(route)
        def run(**given: Any) -> Answer:
            said = {name: value for name, value in given.items() if isinstance(value, str | int)}
            fields = {name: value for name, value in given.get("fields", {}).items() if name not in UNSAID}
            named = action.format_map({"what": "", **fields, **said})
            subject = "/".join([action.partition(".")[0], *(str(said[name]) for name in said if name != "what")])
            with audit.acting(given["who"], named, subject, **fields):
                return route(**given)

        return run

    return decorate


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form, each once. Raises HTTPException 422 for what is no form."""
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(422, "the body must be a form of at most fifty fields in UTF-8") from None
    return {storable(name): storable(value) for name, value in pairs}


def whole(fields: dict[str, str], name: str, least: int = 1, most: int = 2**31) -> int | None:
    """Return a field as a number; None when it is empty. Raises HTTPException 422."""
    value = fields.get(name, "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 19 and least <= int(value) <= most):
        raise HTTPException(422, f"{name} must be a number from {least} to {most}")
    return int(value)


def back(to: str, done: str = "") -> RedirectResponse:
    """Return the browser to a page of ours, which says what was done."""
    joint = "&" if "?" in to else "?"
    return RedirectResponse(f"{to}{joint}done={quote(done)}" if done else to, status_code=303)


def ours(address: str, otherwise: str) -> str:
    """Return an address within this site, or the other one: a form may not send people anywhere else."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else otherwise
