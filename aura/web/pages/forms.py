"""HTML forms: parsing, the audit entry of each action, and the redirect afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from aura.errors import InvalidInput
from aura.web.done_messages import seal
from db import audit
from db.text import storable

Answer = TypeVar("Answer")

#: The most fields of a form.
MAX_FIELDS = 50
#: Fields that are not in the audit log: the token, and long texts, which the ticket holds.
NOT_AUDITED = frozenset({"csrf", "text", "resolution"})


def audited(action: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Run the route in one transaction with its audit entry; a route that raises leaves neither.

    The route's argument `who` acts. The action may refer to arguments and fields: `audited("schedule.{action}")`.
    """

    def decorate(route: Callable[..., Answer]) -> Callable[..., Answer]:
        @wraps(route)
        def run(**arguments: Any) -> Answer:
            path = {name: value for name, value in arguments.items() if isinstance(value, str | int)}
            fields = {name: value for name, value in arguments.get("fields", {}).items() if name not in NOT_AUDITED}
            named = action.format_map({"action": "", **fields, **path})
            subject = "/".join([action.partition(".")[0], *(str(path[name]) for name in path if name != "action")])
            details = {name: value for name, value in fields.items() if name != "action"}
            with audit.acting(arguments["who"], named, subject, **details):
                return route(**arguments)

        return run

    return decorate


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises InvalidInput for a body that is none."""
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise InvalidInput(f"the body must be a form in UTF-8 with at most {MAX_FIELDS} fields") from None
    return {storable(name): storable(value) for name, value in pairs}


#: The argument of a route that takes a form.
Fields = Annotated[dict[str, str], Depends(form)]


def integer(fields: dict[str, str], name: str, least: int = 1, most: int = 2**31) -> int | None:
    """Return a field as an integer; None when it is empty. Raises InvalidInput."""
    value = fields.get(name, "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 19 and least <= int(value) <= most):
        raise InvalidInput(f"{name}: must be a number from {least} to {most}")
    return int(value)


def reason(fields: dict[str, str]) -> str:
    """Return the field `reason`. Raises InvalidInput when it is empty."""
    given = fields.get("reason", "").strip()
    if not given:
        raise InvalidInput("reason: is needed")
    return given


def redirect(to: str, done: str = "") -> RedirectResponse:
    """Return a redirect to a page of this site, which shows the result of the action."""
    joint = "&" if "?" in to else "?"
    return RedirectResponse(f"{to}{joint}done={quote(seal(done))}" if done else to, status_code=303)


def own_path(address: str, default: str) -> str:
    """Return a path of this site, or the default for any other address: a form must not redirect elsewhere."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else default
