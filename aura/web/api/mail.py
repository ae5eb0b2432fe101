"""Resource mail: receives mails from the webhook of a mail provider, or from a mail server that posts them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from aura.errors import Forbidden, InvalidInput
from aura.mail import ingest_mail
from aura.notifications.signatures import InvalidSignature, key_of, verify, verify_headers
from aura.settings import SettingsError, get_settings
from aura.web.body_limit import LargeBody

PATH = "/api/v1/mail"
#: Bytes of a mail from which on the next one has to wait.
LARGE_MAIL = 1_000_000

router = APIRouter(tags=["mail"])


class IngestedMail(BaseModel):
    """What a mail became: `ticket`, `comment`, `ignored: reason` or `refused: reason`."""

    id: int
    outcome: str
    ticket_id: int | None
    #: The same mail was ingested before.
    duplicate: bool
    #: Why the mail is a ticket of its own, although it names or answers another one; else empty.
    note: str


@router.post(
    "/mail",
    status_code=202,
    response_model=IngestedMail,
    summary="Ingest a mail",
    openapi_extra={"requestBody": {"required": True, "content": {"message/rfc822": {"schema": {"type": "string"}}}}},
)
async def create_mail(request: Request) -> Response:
    """Store a raw mail (RFC 822), signed according to standardwebhooks.com with AURA_MAIL_WEBHOOK_SECRET.

    202 means that the mail is stored. The same mail again changes nothing.
    """
    check_headers(request)
    body = await request.body()
    # one large mail at a time: to parse it takes a multiple of its bytes
    large: asyncio.Semaphore = request.app.state.large_mails
    async with large if len(body) > LARGE_MAIL else nullcontext():
        return await run_in_threadpool(_ingest, request.headers, body)


def check_headers(request: Request) -> None:
    """Check a mail before its body is read. Raises Forbidden, HTTPException 415 and 401."""
    if not webhook_secrets():
        raise Forbidden("mail over HTTP is off: AURA_MAIL_WEBHOOK_SECRET is not set")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "message/rfc822":
        raise HTTPException(415, "Content-Type: must be message/rfc822, with the raw mail as the body")
    try:
        verify_headers(request.headers)
    except InvalidSignature as error:  # here a wrong signature is a failed authentication
        raise HTTPException(401, str(error)) from None


def _ingest(headers: Mapping[str, str], body: bytes) -> Response:
    try:
        verify(webhook_secrets(), headers, body)
    except InvalidSignature as error:
        raise HTTPException(401, str(error)) from None
    if not body.strip():
        raise InvalidInput("the body must be a raw mail; it is empty")
    ingested = ingest_mail(body)
    answer = IngestedMail(
        id=ingested.id,
        outcome=ingested.outcome,
        ticket_id=ingested.ticket_id,
        duplicate=ingested.duplicate,
        note=ingested.note,
    )
    return JSONResponse(answer.model_dump(), 202)


def body_limits() -> dict[str, LargeBody]:
    """Return the limit of mails by path; empty without a secret. Raises SettingsError."""
    limit = LargeBody(get_settings().mail_limit, "AURA_MAIL_LIMIT", check_headers)
    return {PATH: limit} if webhook_secrets() else {}


def webhook_secrets() -> list[str]:
    """Return the secrets that may sign mails, two during a rotation. Raises SettingsError."""
    secret = get_settings().mail_webhook_secret
    secrets = [each.strip() for each in secret.get_secret_value().split(",") if each.strip()] if secret else []
    for each in secrets:
        try:
            key_of(each)
        except ValueError as error:
            raise SettingsError(f"AURA_MAIL_WEBHOOK_SECRET: {error}") from None
    return secrets
