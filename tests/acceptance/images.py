"""`python -m tests.acceptance.images`: the pictures of the dashboard, docs/images/*.png, from a house with example tickets.

The tickets, verdicts and notifications are what Aura made of the examples. The curves of three hours are made up, for
nobody waits so long for a picture; so is the trouble (a webhook that was given up, a pause).
"""

from __future__ import annotations

import math
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, update

import tests.embedded as embedded
from db import audit, jobs, queue_controls, transaction
from db.audit import Actor
from db.jobs import Failure, NewJob
from db.models import MetricSample, Ticket
from db.time import from_now
from tests.acceptance.browser import PHONE, Visit, browser
from tests.acceptance.conftest import House
from tests.conftest import ROOT

IMAGES = ROOT / "docs/images"
#: The file's name, the page and its mode; a name that says phone has that width.
PICTURES = (
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
    ("dead-letters", "/dead", "light"),
    ("dead-letter", "/dead/1", "light"),
    ("schedules", "/schedules", "light"),
    ("workers", "/workers", "light"),
    ("ai", "/ai", "light"),
    ("incidents", "/incidents", "light"),
    ("audit", "/audit", "light"),
    ("login", "/login", "light"),
    ("error", "/tickets/4711", "light"),
)
#: Smaller than most windows, for a picture in a page of text.
WINDOW = {"width": 1180, "height": 720}
#: The most bytes of a picture.
LARGEST = 150_000


def furnish(house: House) -> None:
    """Let a day at the desk happen."""
    house.aura("agents", "import", str(ROOT / "examples/agents.csv"))
    house.aura("import", str(ROOT / "examples/tickets.csv"))
    house.finished(88, 120)
    for number, said in ((3, "Network"), (7, ""), (12, ""), (21, ""), (40, "Software"), (52, "")):
        category = said or house.ask(f"SELECT category FROM tickets WHERE id = {number}")
        house.aura("tickets", "correct", str(number), "--category", category, "--by", "lena.vogt")
    house.aura("tickets", "status", "17", "in_progress", "--by", "tomasz.zielinski")
    house.aura("tickets", "comment", "17", "The share is offline; backups from last night are fine.")
    house.aura("tickets", "resolve", "1", "Replaced the power supply", "--by", "grace.chen")
    with embedded.using(house.variables["DATABASE_URL"]):
        _trouble()
        _curves()
    house.aura("schedules", "pause", "retention", "--reason", "an audit until Friday")


def _trouble() -> None:
    embedded.promise(*[NewJob("webhook", f"n{number}", pipeline="") for number in range(4)])
    waiting = [job.id for job in embedded.all_jobs() if job.actor == "webhook"]
    with transaction() as session:
        taken = jobs.claim(session, "webhook", waiting, "lease", "gone")
        error = "https://hooks.example.com/aura answered 410: this address is gone, and will not come back"
        jobs.dead_letter(session, [(job, Failure("ChannelError", error, "", "3f2a91c0d7e4")) for job in taken])
        queue_controls.pause(session, "notify.teams", None, "Teams is being moved")
        lena, why = Actor("user lena.vogt", "10.0.4.17"), {"reason": "Teams is being moved"}
        audit.record(session, lena, "queue.pause", "queue/notify.teams", why)
        jobs.enqueue(session, [NewJob("teams", f"m{number}") for number in range(3)])
        # what has a target is late, or soon
        newest = session.scalar(select(func.max(Ticket.id))) or 0
        session.execute(update(Ticket).where(Ticket.id == newest - 2).values(sla_state="warned", due_at=from_now(1500)))


def _curves() -> None:
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
    """Write every picture; fails when one is too large, the browser complained, or the page keeps people out."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aura-images-") as folder, browser() as chrome:
        house = House(Path(folder), {"DATABASE_URL": f"sqlite:///{folder}/aura.db"})
        try:
            house.start("run", "aura", "run", "--port", str(house.port))
            house.serves()
            furnish(house)
            bad = 0
            for name, path, mode in PICTURES:
                size = PHONE if name.endswith("phone") else WINDOW
                context = chrome.new_context(color_scheme=mode, viewport=size)  # type: ignore[arg-type]
                visit = Visit(context, house.url)
                visit.open(path).screenshot(path=IMAGES / f"{name}.png")
                bytes_ = (IMAGES / f"{name}.png").stat().st_size
                complaints = [said for said in visit.complaints if name != "error"] + visit.barriers()
                print(f"docs/images/{name}.png  {bytes_ // 1000} kB", *complaints)
                bad += bytes_ > LARGEST or bool(complaints)
                context.close()
        finally:
            house.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
