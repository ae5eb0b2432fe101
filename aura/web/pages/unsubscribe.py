"""Page /unsubscribe/TOKEN: asks for a confirmation, since mail scanners open every link, and unsubscribes on POST (RFC 8058)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from aura.desk import unsubscribe
from aura.notifications.unsubscribe import MAX_LENGTH, PATH
from aura.web.render import page

router = APIRouter()

Token = Annotated[str, Path(max_length=MAX_LENGTH)]


@router.get(f"{PATH}/{{token}}", response_class=HTMLResponse)
def show_confirmation(request: Request, token: Token) -> HTMLResponse:
    what = unsubscribe.read_link(token)
    return page(request, "unsubscribe.html", what=what, finished=False)


@router.post(f"{PATH}/{{token}}", response_class=HTMLResponse)
def confirm(request: Request, token: Token) -> HTMLResponse:
    """Unsubscribe. The token in the path authorises it; a mail program sends neither a cookie nor a CSRF token."""
    what = unsubscribe.unsubscribe(token, request.client.host if request.client else "")
    return page(request, "unsubscribe.html", what=what, finished=True)
