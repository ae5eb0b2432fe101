"""What a person of the service desk does to a ticket: correct what an engine said, and resolve it."""

from __future__ import annotations

from actors.telling import notify
from ai.masking import mask
from db import corrections, similar, transaction
from settings import PRIORITIES, get_settings


class NotAllowed(ValueError):
    """The value is none of those there are; the text names them."""


def correct(ticket_id: int, author: str, category: str | None = None, priority: str | None = None) -> list[str]:
    """Set category or priority for good and tell people if that changes something. Returns what changed.

    Raises NotAllowed for a value that is not of the list, corrections.UnknownTicket.
    """
    choices = {"category": (category, get_settings().categories), "priority": (priority, PRIORITIES)}
    said = {field: _one_of(field, value, known) for field, (value, known) in choices.items() if value is not None}
    if not said:
        raise NotAllowed("say what it is: a category, a priority or both")
    with transaction() as session:
        changed = corrections.correct(session, ticket_id, author, said)
        if changed:
            notify.send(ticket_id)
    return changed


def resolve(ticket_id: int, resolution: str) -> None:
    """Record what resolved a ticket; later tickets like it are shown that. Raises corrections.UnknownTicket."""
    with transaction() as session:
        corrections.resolve(session, ticket_id, resolution)
        similar.remember(session, [ticket_id], lambda said: mask(said).text)


def _one_of(field: str, value: str, known: tuple[str, ...]) -> str:
    found = next((each for each in known if each.lower() == value.strip().lower()), None)
    if found is None:
        raise NotAllowed(f"{value!r} is no {field}; there are {', '.join(known)}")
    return found
