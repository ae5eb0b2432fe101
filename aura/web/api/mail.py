"""Mails over HTTP: for a mail provider's webhook, or a mail server that posts what it gets."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from aura.mail import ingest_mail
from aura.notifications.signatures import InvalidSignature, key_of, verify
from aura.settings import SettingsError, get_settings
from aura.web.problems import problem

PATH = "/api/v1/intake/email"

router = APIRouter(tags=["intake"])


class MailTaken(BaseModel):
    """What became of a mail: ticket, comment, `ignored: why` or `refused: why`."""

    id: int
    outcome: str
    ticket_id: int | None
    known: bool


@router.post(
    PATH,
    status_code=202,
    response_model=MailTaken,
    summary="Hand in a mail",
    openapi_extra={"requestBody": {"required": True, "content": {"message/rfc822": {"schema": {"type": "string"}}}}},
)
async def mail(request: Request) -> Response:
    """Take a mail as it came (RFC 822), signed as standardwebhooks.com says with AURA_MAIL_WEBHOOK_SECRET.

    202 means that it is stored, and says what became of it; the same mail again changes nothing.
    """
    secrets = keys()
    if not secrets:
        return problem(403, "Not open", "mails are not taken here: AURA_MAIL_WEBHOOK_SECRET is not set")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "message/rfc822":
        return problem(415, "Not a mail", "send the mail as it came, with Content-Type: message/rfc822")
    body = await request.body()
    try:
        verify(secrets, request.headers, body)
    except InvalidSignature as error:
        return problem(401, "Not signed", str(error))
    if not body.strip():
        return problem(422, "Not valid", "the body must be one mail, and it is empty")
    taken = await run_in_threadpool(ingest_mail, body)
    answer = MailTaken(id=taken.id, outcome=taken.outcome, ticket_id=taken.ticket_id, known=taken.duplicate)
    return JSONResponse(answer.model_dump(), 202)


def limits() -> dict[str, tuple[int, str]]:
    """Return how long a mail may be, and the setting to name; without a key none is read. Raises SettingsError."""
    return {PATH: (get_settings().mail_limit, "AURA_MAIL_LIMIT")} if keys() else {}


def keys() -> list[str]:
    """Return the keys that sign mails; two while one is replaced by the other. Raises SettingsError for a wrong one."""
    secret = get_settings().mail_webhook_secret
    secrets = [each.strip() for each in secret.get_secret_value().split(",") if each.strip()] if secret else []
    for each in secrets:
        try:
            key_of(each)
        except ValueError as error:
            raise SettingsError(f"AURA_MAIL_WEBHOOK_SECRET: {error}") from None
    return secrets
