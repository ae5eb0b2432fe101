"""Rendering of pages: templates, and filters for times, numbers and texts.

A browser gets a whole document. htmx gets the <main> element alone, by which it replaces the old one after a change.
Everything is escaped; user input is in <bdi>, so that its writing direction does not affect the text around it.
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
from aura.web.data_age import data_age
from aura.web.done_messages import opened

HERE = Path(__file__).resolve().parent
#: The navigation: (path, title, the key that opens the page after g).
NAVIGATION = (
    ("/", "Overview", "o"),
    ("/tickets", "Tickets", "t"),
    ("/review", "Review", "r"),
    ("/jobs", "Jobs", "j"),
    ("/queues", "Queues", "q"),
    ("/dead-letters", "Dead letters", "d"),
    ("/incidents", "Incidents", "i"),
    ("/schedules", "Schedules", "s"),
    ("/workers", "Workers", "w"),
    ("/ai", "AI", "a"),
    ("/audit", "Audit log", "u"),
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
        "bytes": size,
        "exact": exact,
        "duration": duration,
        "number": number,
        "share": share,
        "schedule": schedule,
        "short": short,
        "spaced": spaced,
    }
    environment.globals |= {"navigation": NAVIGATION}
    return environment


def wants_page(request: Request) -> bool:
    """Return whether a browser sent the request, by navigation or htmx; a program gets JSON."""
    browser = "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"
    return browser and not request.url.path.startswith("/api/")


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page, or its <main> element for htmx."""
    layout = "main.html" if request.headers.get("hx-request") == "true" else "layout.html"
    settings, who = get_settings(), getattr(request.state, "who", None)
    common = {
        "layout": layout,
        "request": request,
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "csrf_token": who.csrf if who else "",
        "who": who,
        "embedded": settings.embedded,
        "now": datetime.now(UTC),
        "data_age": data_age(),
        "done": opened(request.query_params.get("done", "")),
    }
    html = _environment().get_template(template).render(common | values)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store", "Vary": "HX-Request"})


def static_files() -> StaticFiles:
    """Return the application that serves style sheets and scripts."""
    return StaticFiles(directory=HERE / "static")


def exact(moment: datetime | None) -> str:
    """Return a time as 2026-11-25 14:03:09 UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def ago(moment: datetime | None) -> str:
    """Return a time relative to now: 5 min ago, in 5 min."""
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
    """Return a number with thousands separators; beyond `most`, which is where counting stops, as 10,000+."""
    if value is None:
        return ""
    if most is not None and value > most:
        return f"{most:,}+"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def size(count: int) -> str:
    """Return bytes as 8 B, 12 kB or 3.4 MB, with powers of 1000."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least * 0.9995:
            value = count / least
            return f"{value:.1f} {unit}" if value < 10 and unit != "kB" else f"{value:.0f} {unit}"
    return f"{count} B"


def share(value: float | None) -> str:
    """Return a fraction as a percentage."""
    return "" if value is None else f"{value:.0%}"


def count_of(count: int, one: str, many: str, most: int | None = None) -> str:
    """Return a count with its noun: 1 job, 2 jobs."""
    return f"{number(count, most)} {one if count == 1 else many}"


def schedule(when: str) -> str:
    """Return a crontab time as text, such as "every 10 minutes"; any other than the simple ones stays as it is."""
    if when == "* * * * *":
        return "every minute"
    if found := re.fullmatch(r"\*/(\d+) \* \* \* \*", when):
        return f"every {found[1]} minutes"
    if found := re.fullmatch(r"(\d+) \* \* \* \*", when):
        return f"every hour at :{int(found[1]):02}"
    if found := re.fullmatch(r"(\d+) (\d+) \* \* \*", when):
        return f"every day at {int(found[2]):02}:{int(found[1]):02}"
    return when


def spaced(name: str) -> str:
    """Return an identifier such as in_progress with spaces."""
    return name.replace("_", " ")


def short(text: str | None, most: int = 140) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
