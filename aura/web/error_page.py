"""Error pages: the title of the HTTP status, the message, and what to do next, in the layout of the other pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse

from aura.web.render import page

#: The heading and the advice of each status.
HELP = {
    401: ("Log in", "Log in and try again."),
    403: ("Not allowed", "Another role is needed; an administrator can grant it."),
    404: (
        "Page not found",
        "Check the address. Completed jobs and old tickets are deleted after their retention time.",
    ),
    409: ("Changed meanwhile", "Load the page again to see the current state."),
    413: ("Too large", "Send less data."),
    422: ("Invalid input", "Go back and correct the input; nothing was changed."),
    429: ("Too many requests", "Wait a moment, then try again."),
    503: ("Temporarily unavailable", "Nothing was changed. Try again in a few seconds."),
}
SERVER_ERROR = ("Something went wrong", "The error is in the log of the web process.")


def error_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """Return the page of an error."""
    title, help_ = HELP.get(status, SERVER_ERROR if status >= 500 else ("Request failed", ""))
    return page(
        request, "error.html", status, title=title, detail=detail, help=help_, code=status, back=_referer(request)
    )


def _referer(request: Request) -> str:
    """Return the page that the browser came from when it belongs to this site, else the overview."""
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    same_site = referer.netloc == request.headers.get("host")
    if not same_site or not referer.path.startswith("/") or referer.path.startswith("//"):
        return "/"
    return referer.path + (f"?{referer.query}" if referer.query else "")
