"""Resource notifications: the in-app notifications of a user, and which of them are read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy.orm import Session

from actors.notification_settings import aliases
from aura.errors import Forbidden, InvalidInput, NotFound
from aura.web.auth.identity import Identity
from aura.web.auth.requirements import Reader
from db import notifications, reading, transaction
from db.notifications import Inbox

Recipient = Annotated[str, Query(min_length=1, max_length=254, description="A user name.")]

router = APIRouter(prefix="/notifications", tags=["notifications"])


class InAppNotification(BaseModel):
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


class NotificationPage(BaseModel):
    """A page of notifications, the newest first; `next` is the cursor of the next page, `unread` stops at 1000."""

    notifications: list[InAppNotification]
    next: str | None
    unread: int


@router.get("", summary="List in-app notifications")
def list_notifications(
    who: Reader,
    recipient: Recipient,
    unread: Annotated[bool, Query(description="Only unread notifications.")] = False,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=32, description="The `next` of the previous page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> NotificationPage:
    """Return a page of a user's in-app notifications. New ones neither shift nor repeat the following pages."""
    _require_storable(recipient, cursor or "")
    with reading() as session:
        _require_own(session, who, recipient)
        found = notifications.listing(session, recipient, unread, cursor, limit + 1)
        count = notifications.unread(session, recipient)
    more = found[limit - 1].id if len(found) > limit else None
    return NotificationPage(notifications=[_shown(each) for each in found[:limit]], next=more, unread=count)


@router.post("/{notification_id}/read", summary="Mark a notification as read")
def read_notification(who: Reader, notification_id: str, recipient: Recipient) -> InAppNotification:
    """Mark a notification as read by its recipient. Repeating it changes nothing."""
    _require_storable(notification_id, recipient)
    with transaction() as session:
        _require_own(session, who, recipient)
        notifications.mark_read(session, recipient, [notification_id])
        found = notifications.find_in_app(session, recipient, notification_id)
    if found is None:
        raise NotFound(f"no in-app notification {notification_id} of {recipient}")
    return _shown(found)


def _require_own(session: Session, who: Identity, recipient: str) -> None:
    """Raise Forbidden unless the recipient is the user, by name or address, or the user may operate."""
    if {"operate", "admin"} & who.scopes:
        return
    if not who.is_user or recipient.lower() not in aliases(session, who.name.partition(" ")[2]):
        raise Forbidden("recipient: notifications of other users need the scope operate")


def _require_storable(*texts: str) -> None:
    if any("\0" in text for text in texts):  # PostgreSQL refuses NUL even in a comparison
        raise InvalidInput("a text must not contain the character NUL")


def _shown(one: Inbox) -> InAppNotification:
    return InAppNotification(**one._asdict())
