"""Attachments on the page of a ticket: what the page shows of each, its download, and its picture."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from aura.attachments.content_types import label
from aura.web.auth.requirements import REQUIRES_READ
from aura.web.downloads import download, is_picture, picture
from db import attachments, reading
from db.attachments import StoredAttachment

router = APIRouter(prefix="/tickets/{ticket_id}/attachments/{attachment_id}")


@dataclass(frozen=True, slots=True)
class ShownAttachment:
    """An attachment as a page shows it."""

    attachment: StoredAttachment
    #: Such as PNG image.
    kind: str
    is_picture: bool

    @property
    def ending(self) -> str:
        """The ending of the name in capitals, such as PDF; FILE without a short one."""
        _, dot, ending = self.attachment.name.rpartition(".")
        return ending.upper() if dot and ending.isascii() and ending.isalnum() and len(ending) <= 5 else "FILE"


def shown(session: Session, ticket_id: int) -> list[ShownAttachment]:
    """Return the attachments of a ticket for its page, the oldest first."""
    found = attachments.listing(session, ticket_id)
    return [ShownAttachment(each, label(each.content_type), is_picture(each)) for each in found]


@router.get("", dependencies=[REQUIRES_READ])
def download_attachment(request: Request, ticket_id: int, attachment_id: int) -> Response:
    with reading() as session:
        found = attachments.find(session, ticket_id, attachment_id)
    return download(request, found)


@router.get("/picture", dependencies=[REQUIRES_READ])
def show_picture(request: Request, ticket_id: int, attachment_id: int) -> Response:
    with reading() as session:
        found = attachments.find(session, ticket_id, attachment_id)
    return picture(request, found)
