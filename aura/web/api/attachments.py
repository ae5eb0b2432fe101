"""Resource attachments of a ticket: list, download, upload."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from aura.attachments.content_types import BINARY, HARMLESS
from aura.attachments.names import safe_name
from aura.attachments.storage import StorageUnavailable
from aura.desk import attachments as desk
from aura.settings import get_settings
from aura.web.api import etags
from aura.web.api.etags import IfMatch
from aura.web.api.fields import Id, Text
from aura.web.auth.requirements import Operator, Reader
from aura.web.downloads import download, is_picture
from aura.web.slots import UPLOADS
from db import attachments, audit, reading, tickets
from db.attachments import StoredAttachment
from db.audit import Actor

router = APIRouter(prefix="/tickets", tags=["attachments"])

#: Bytes of an upload that are in memory; a larger one is in a temporary file.
IN_MEMORY = 1_000_000
#: Seconds within which each part of an upload, and all of it, must arrive.
PART_SECONDS, UPLOAD_SECONDS = 30.0, 600.0
#: Types of bodies that contain more than the file.
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_BYTES = {"schema": {"type": "string", "format": "binary"}}
FILE: dict[str, Any] = {"content": {BINARY: _BYTES}}
#: A download has its own type where that is harmless.
DOWNLOAD: dict[str, Any] = {"content": dict.fromkeys(sorted({BINARY, *HARMLESS}), _BYTES)}


class Attachment(BaseModel):
    """An attachment without its content."""

    id: int
    name: str
    #: The type that the content has, whatever the sender declared.
    content_type: str
    size: int
    #: Empty when the content is not stored; `reason` says why.
    sha256: str
    stored: bool
    reason: str
    #: Shown within the text of its mail, such as a logo in a signature.
    inline: bool
    #: Pixels of a picture that pages show.
    width: int | None
    height: int | None
    #: The mail that contained it; null for an upload.
    mail_id: int | None
    created_at: datetime
    url: str


class Attachments(BaseModel):
    """The attachments of a ticket, the oldest first."""

    attachments: list[Attachment]


@router.get("/{ticket_id}/attachments", summary="List the attachments of a ticket")
def list_attachments(ticket_id: Id, _who: Reader) -> Attachments:
    """Return the attachments of the ticket: those of its mails, and uploads."""
    with reading() as session:
        tickets.ensure_exists(session, ticket_id)
        return Attachments(attachments=[_model(each) for each in attachments.listing(session, ticket_id)])


@router.get(
    "/{ticket_id}/attachments/{attachment_id}",
    summary="Download an attachment",
    response_class=StreamingResponse,
    responses={200: DOWNLOAD, 304: {"description": "The content is the one that If-None-Match names."}},
)
def download_attachment(ticket_id: Id, attachment_id: Id, request: Request, _who: Reader) -> Response:
    """Return the content, always as a download. The ETag is its SHA-256."""
    with reading() as session:
        found = attachments.find(session, ticket_id, attachment_id)
    return download(request, found)


@router.post(
    "/{ticket_id}/attachments",
    status_code=201,
    response_model=Attachment,
    summary="Attach a file to a ticket",
    responses={200: {"model": Attachment, "description": "The ticket has this file under this name already."}},
    openapi_extra={"requestBody": {"required": True, **FILE}},
)
async def create_attachment(
    ticket_id: Id,
    request: Request,
    who: Operator,
    name: Annotated[Text, Query(min_length=1, max_length=500, examples=["screenshot.png"])],
    if_match: IfMatch = None,
) -> Response:
    """Store the body of the request as a file of the ticket. A repeated request adds nothing and answers 200."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared in _FORMS:
        raise HTTPException(415, f"Content-Type: send the file itself as the body, as {BINARY} or as its own type")
    await run_in_threadpool(_require_ticket, ticket_id)
    with UPLOADS.holding(who.name), tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        await _receive(request, cast("BinaryIO", file))
        stored, new = await run_in_threadpool(_store, who, ticket_id, cast("BinaryIO", file), name, declared, if_match)
    return JSONResponse(
        _model(stored).model_dump(mode="json"), 201 if new else 200, {"Location": _url(ticket_id, stored.id)}
    )


async def _receive(request: Request, file: BinaryIO) -> None:
    """Write the body to a file. Raises HTTPException 413 for one that is too large, 408 for one that does not arrive."""
    limit = get_settings().attachment_limit
    announced = request.headers.get("content-length", "")
    too_large = HTTPException(413, f"the body has more than {limit} bytes (AURA_ATTACHMENT_LIMIT)")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    size, parts = 0, request.stream()
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            while True:
                part = await asyncio.wait_for(anext(parts, None), PART_SECONDS)
                if part is None:
                    return
                size += len(part)
                if size > limit:
                    raise too_large
                file.write(part)
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(408, "the body did not arrive in time", {"Connection": "close"}) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageUnavailable(f"the folder of temporary files does not take the body: {reason}") from None


def _require_ticket(ticket_id: int) -> None:
    with reading() as session:
        tickets.ensure_exists(session, ticket_id)


def _store(
    who: Actor, ticket_id: int, file: BinaryIO, name: str, declared: str, if_match: IfMatch
) -> tuple[StoredAttachment, bool]:
    with audit.acting(who, "ticket.attach", f"ticket/{ticket_id}", name=safe_name(name)) as session:
        etags.require_match(session, ticket_id, if_match)
        attachment_id, new = desk.upload(session, ticket_id, file, name, declared)
        return attachments.find(session, ticket_id, attachment_id), new


def _model(attachment: StoredAttachment) -> Attachment:
    shown = is_picture(attachment)
    return Attachment.model_validate(
        {
            **attachment._asdict(),
            "stored": bool(attachment.storage),
            "width": attachment.width if shown else None,
            "height": attachment.height if shown else None,
            "url": _url(attachment.ticket_id, attachment.id),
        }
    )


def _url(ticket_id: int | None, attachment_id: int) -> str:
    return f"/api/v1/tickets/{ticket_id}/attachments/{attachment_id}"
