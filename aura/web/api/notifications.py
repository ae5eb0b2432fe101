"""The inbox over HTTP: what somebody was told in-app, and what of it they have read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel
from sqlalchemy.orm import Session

from actors.notification_settings import aliases
from aura.web.auth.identity import Identity, Reader
from db import notifications, reading, transaction
from db.notifications import Inbox

Recipient = Annotated[str, Query(min_length=1, max_length=254, description="A user name.")]

router = APIRouter(prefix="/api/v1/notifications", tags=["notifications"])


class Told(BaseModel):
    """An in-app notification."""

    id: str
    ticket_id: int | None
    event: str
    role: str
    subject: str
    body: str
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None


class Page(BaseModel):
    """Some notifications, the newest first; `next` is the cursor of those that follow, `unread` counts up to 1000."""

    notifications: list[Told]
    next: str | None
    unread: int


@router.get("", summary="What somebody was told in-app")
def inbox(
    who: Reader,
    recipient: Recipient,
    unread: Annotated[bool, Query(description="Only what was not read yet.")] = False,
    cursor: Annotated[str | None, Query(min_length=1, max_length=32, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page:
    """Return a page of the inbox; nothing is missed or shown twice when something new comes in between."""
    _storable(recipient, cursor or "")
    with reading() as session:
        _theirs(session, who, recipient)
        try:
            found = notifications.listing(session, recipient, unread, cursor, limit + 1)
        except notifications.UnknownCursor as error:
            raise HTTPException(404, f"cursor: {error}") from None
        waiting = notifications.unread(session, recipient)
    more = found[limit - 1].id if len(found) > limit else None
    return Page(notifications=[_told(each) for each in found[:limit]], next=more, unread=waiting)


@router.post("/{notification_id}/read", summary="Mark as read")
def read(who: Reader, notification_id: str, recipient: Recipient) -> Told:
    """Record that its recipient has read it; a second time changes nothing."""
    _storable(notification_id, recipient)
    with transaction() as session:
        _theirs(session, who, recipient)
        notifications.mark_read(session, recipient, [notification_id])
        found = notifications.find_in_app(session, recipient, notification_id)
    if found is None:
        raise HTTPException(404, "there is no such in-app notification")
    return _told(found)


def _theirs(session: Session, who: Identity, recipient: str) -> None:
    """Raise HTTPException 403 unless the inbox is their own, by name or address, or they may see any."""
    if {"operate", "admin"} & who.scopes:
        return
    if recipient.lower() not in aliases(session, who.name.partition(" ")[2]):
        raise HTTPException(403, "this is somebody else's inbox: it needs the scope operate")


def _storable(*texts: str) -> None:
    if any("\0" in text for text in texts):  # which PostgreSQL cannot even compare with
        raise HTTPException(422, "a text must not hold the character NUL")


def _told(one: Inbox) -> Told:
    return Told(**one._asdict())
