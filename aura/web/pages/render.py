"""Pages: templates, and how times, numbers and other people's words look in them.

A page is a whole document for a browser, and its <main> alone for htmx, which puts it in place of the old one whenever
something happened. Everything is escaped; what somebody typed stands in <bdi>, so that its direction ends there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.staticfiles import StaticFiles

from aura.settings import get_settings

HERE = Path(__file__).resolve().parent.parent
#: Where each page is, in the order of the navigation: (path, title, key that leads there after g).
NAVIGATION = (
    ("/", "Overview", "o"),
    ("/tickets", "Tickets", "t"),
    ("/review", "Review", "r"),
    ("/jobs", "Jobs", "j"),
    ("/queues", "Queues", "q"),
    ("/dead", "Dead letters", "d"),
    ("/incidents", "Incidents", "i"),
    ("/schedules", "Schedules", "s"),
    ("/workers", "Workers", "w"),
    ("/ai", "AI", "a"),
    ("/audit", "Audit", "u"),
)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": ago,
        "exact": exact,
        "duration": duration,
        "number": number,
        "share": share,
        "often": often,
        "short": short,
        "words": words,
    }
    environment.globals |= {"navigation": NAVIGATION}
    return environment


def wants_page(request: Request) -> bool:
    """Return whether a browser asks, for a page of its own or by htmx; a program gets JSON at the same address."""
    asked = "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"
    return asked and not request.url.path.startswith("/api/")


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the page, whole or as htmx wants it."""
    layout = "part.html" if request.headers.get("hx-request") == "true" else "layout.html"
    settings, who = get_settings(), getattr(request.state, "who", None)
    known = {
        "layout": layout,
        "request": request,
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "csrf_token": who.csrf if who else "",
        "who": who,
        "embedded": settings.embedded,
        "now": datetime.now(UTC),
        "done": request.query_params.get("done", "")[:300],
    }
    html = _environment().get_template(template).render(known | values)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store", "Vary": "HX-Request"})


def static_files() -> StaticFiles:
    """Return the application that serves styles and scripts; all of them are ours or vendored."""
    return StaticFiles(directory=HERE / "static")


def exact(moment: datetime | None) -> str:
    """Return a moment as 2026-11-25 14:03:09 UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def ago(moment: datetime | None) -> str:
    """Return how long ago a moment was, or in what time it comes."""
    if moment is None:
        return "never"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"


def duration(seconds: float | None) -> str:
    """Return seconds as 350 ms, 12 s, 3 min, 5 h or 2 d."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((172_800, 86_400), (7_200, 3_600), (120, 60)):
        if seconds >= size:
            return f"{seconds / unit:.0f} {'d' if unit == 86_400 else 'h' if unit == 3_600 else 'min'}"
    return f"{seconds:.0f} s"


def number(value: float | None, most: int | None = None) -> str:
    """Return a number with its thousands apart; one beyond `most` is only known to be more."""
    if value is None:
        return ""
    if most is not None and value > most:
        return f"{most:,}+"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def share(value: float | None) -> str:
    """Return a share of one in percent."""
    return "" if value is None else f"{value:.0%}"


def often(when: str) -> str:
    """Return a time of the timetable in words; one that is not simple stays in crontab form."""
    if when == "* * * * *":
        return "every minute"
    if found := re.fullmatch(r"\*/(\d+) \* \* \* \*", when):
        return f"every {found[1]} minutes"
    if found := re.fullmatch(r"(\d+) \* \* \* \*", when):
        return f"every hour at :{int(found[1]):02}"
    if found := re.fullmatch(r"(\d+) (\d+) \* \* \*", when):
        return f"every day at {int(found[2]):02}:{int(found[1]):02}"
    return when


def words(name: str) -> str:
    """Return the name of a status or a step as words."""
    return name.replace("_", " ")


def short(text: str | None, most: int = 140) -> str:
    """Return the beginning of a text in one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
