"""Errors as a person sees them: what went wrong, in the layout, and what to do about it."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse

from aura.web.pages.render import page

#: What each status is called, and what helps.
HELP = {
    401: ("Who are you?", "Log in, and come back."),
    403: ("Not allowed", "Somebody with another role can do this, or lets you: aura users list."),
    404: ("Not there", "The address is misspelt, or what was there is done and gone."),
    409: ("Not so far", "Load the page again to see how it stands now."),
    413: ("Too large", "Send less of it."),
    422: ("That does not fit", "Go back and say it otherwise; nothing was changed."),
    429: ("Too often", "Wait a little, then try again."),
    503: ("Not just now", "Nothing was changed. Try again in a few seconds; aura doctor says what is away."),
}
BROKEN = ("Something broke", "Nothing was changed. The error is in the log of the web process.")


def error_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """Return the page of an error."""
    title, helps = HELP.get(status, BROKEN if status >= 500 else ("Not possible", ""))
    return page(request, "error.html", status, title=title, detail=detail, help=helps, code=status, back=_back(request))


def _back(request: Request) -> str:
    """Return where the browser came from, if that is here."""
    came = urlsplit(request.headers.get("referer", ""))
    here = came.netloc == request.headers.get("host") and came.path.startswith("/") and not came.path.startswith("//")
    return (came.path + (f"?{came.query}" if came.query else "")) if here else "/"
