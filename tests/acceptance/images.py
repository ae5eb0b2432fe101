"""`python -m tests.acceptance.images`: writes the screenshots in docs/images, from an installation with example tickets.

The tickets, verdicts and notifications are real results. The points of the charts, a dead webhook and a pause are made up.
"""

from __future__ import annotations

import math
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, update

import tests.embedded as embedded
from db import audit, jobs, queue_controls, schedule_runs, transaction
from db.audit import Actor
from db.jobs import Failure, NewJob
from db.models import MetricSample, Ticket
from db.time import from_now
from tests.acceptance.browser import PHONE, Visit, browser
from tests.acceptance.conftest import Installation
from tests.conftest import ROOT

IMAGES = ROOT / "docs/images"
#: The file name, the page and the color scheme; a name that ends with phone has the width of a phone.
SCREENSHOTS = (
    ("overview", "/", "light"),
    ("overview-dark", "/", "dark"),
    ("overview-phone", "/", "light"),
    ("tickets", "/tickets?q=is%3Aopen+-priority%3Alow", "light"),
    ("ticket", "/tickets/17", "light"),
    ("ticket-phone", "/tickets/17", "light"),
    ("new", "/tickets/new", "light"),
    ("review", "/review", "light"),
    ("queues-dark", "/queues", "dark"),
    ("jobs", "/jobs", "light"),
    ("queues", "/queues", "light"),
    ("dead-letters", "/dead-letters", "light"),
    ("dead-letter", "/dead-letters/1", "light"),
    ("schedules", "/schedules", "light"),
    ("workers", "/workers", "light"),
    ("ai", "/ai", "light"),
    ("incidents", "/incidents", "light"),
    ("audit", "/audit", "light"),
    ("login", "/login", "light"),
    ("account", "/account", "light"),
    ("error", "/tickets/4711", "light"),
)
#: The window of the other screenshots.
WINDOW = {"width": 1180, "height": 720}
#: The most bytes of a screenshot.
LARGEST = 150_000


def prepare(installation: Installation) -> None:
    """Import the examples and act on them."""
    installation.aura("agents", "import", str(ROOT / "examples/agents.csv"))
    installation.aura("import", str(ROOT / "examples/tickets.csv"))
    installation.wait_until_notified(88, 120)
    for number, choice in ((3, "Network"), (7, ""), (12, ""), (21, ""), (40, "Software"), (52, "")):
        category = choice or installation.scalar(f"SELECT category FROM tickets WHERE id = {number}")
        installation.aura("tickets", "correct", str(number), "--category", category, "--by", "lena.vogt")
    installation.aura("tickets", "status", "17", "in_progress", "--by", "tomasz.zielinski")
    installation.aura("tickets", "comment", "17", "The share is offline; backups from last night are fine.")
    installation.aura("tickets", "resolve", "1", "Replaced the power supply", "--by", "grace.chen")
    with embedded.using(installation.variables["DATABASE_URL"]):
        _failures()
        _chart_points()
        with transaction() as session:
            schedule_runs.pause(session, "retention", True, "an audit until Friday")


def _failures() -> None:
    with transaction() as session:  # or a worker runs the jobs first
        queue_controls.pause(session, "notify.webhook")
        jobs.enqueue(session, [NewJob("webhook", f"n{number}", pipeline="") for number in range(4)])
    waiting = [job.id for job in embedded.all_jobs() if job.actor == "webhook"]
    with transaction() as session:
        claimed = jobs.claim(session, "webhook", waiting, "lease", "gone")
        error = "https://hooks.example.com/aura answered 410: this address is gone, and will not come back"
        jobs.dead_letter(session, [(job, Failure("ChannelError", error, "", "3f2a91c0d7e4")) for job in claimed])
        queue_controls.resume(session, "notify.webhook")
        queue_controls.pause(session, "notify.teams", None, "Teams is being moved")
        lena, why = Actor("user lena.vogt", "10.0.4.17"), {"reason": "Teams is being moved"}
        audit.record(session, lena, "queue.pause", "queue/notify.teams", why)
        jobs.enqueue(session, [NewJob("teams", f"m{number}") for number in range(3)])
        # a ticket that is due soon
        newest = session.scalar(select(func.max(Ticket.id))) or 0
        session.execute(update(Ticket).where(Ticket.id == newest - 2).values(sla_state="warned", due_at=from_now(1500)))


def _chart_points() -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    rows = []
    for back in range(3, 181):
        wave = 1.3 + math.sin(back / 27.0) + 0.35 * math.sin(back / 3.1)
        received = max(0.0, round(25 * wave))
        for name, value in {
            "received": received,
            "classified": max(0.0, round(received - 2 * math.sin(back / 2.3))),
            "notified": max(0.0, round(received - 3 * math.sin(back / 2.9))),
            "seconds.p50": 0.11 + 0.02 * wave,
            "seconds.p95": 0.21 + 0.06 * wave + (0.9 if 61 < back < 66 else 0.0),
            "dollars": 0.0,
        }.items():
            rows.append({"name": name, "at": minute - timedelta(minutes=back), "value": float(value)})
    with transaction() as session:
        session.execute(insert(MetricSample), rows)


def main() -> int:
    """Write every screenshot. Returns 1 when one is too large, has errors in the console, or is not accessible."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aura-images-") as folder, browser() as chrome:
        installation = Installation(Path(folder), {"DATABASE_URL": f"sqlite:///{folder}/aura.db"})
        try:
            installation.start("run", "aura", "run", "--port", str(installation.port))
            installation.wait_until_ready()
            prepare(installation)
            bad = 0
            for name, path, mode in SCREENSHOTS:
                size = PHONE if name.endswith("phone") else WINDOW
                context = chrome.new_context(color_scheme=mode, viewport=size)  # type: ignore[arg-type]
                if name != "login":
                    installation.log_in(context)
                visit = Visit(context, installation.url)
                visit.open(path).screenshot(path=IMAGES / f"{name}.png")
                bytes_ = (IMAGES / f"{name}.png").stat().st_size
                complaints = [complaint for complaint in visit.complaints if name != "error"] + visit.barriers()
                print(f"docs/images/{name}.png  {bytes_ // 1000} kB", *complaints)
                bad += bytes_ > LARGEST or bool(complaints)
                context.close()
        finally:
            installation.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
