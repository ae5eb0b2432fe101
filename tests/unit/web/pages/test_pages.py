"""All pages: empty, for htmx, and with hostile text everywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from db import dead_letters, queue_controls, schedule_runs, transaction, workers
from db.models import Correction, Incident, Ticket
from tests.embedded import Hand
from tests.unit.web.clients import HOSTILE, create_dead_letter, create_ticket

PAGES = (
    "/",
    "/tickets",
    "/tickets/new",
    "/review",
    "/jobs",
    "/queues",
    "/dead-letters",
    "/schedules",
    "/workers",
    "/ai",
    "/incidents",
    "/audit",
)


#: A text of each empty page; the pages that are missing here always have a table.
EMPTY = {
    "/": "Import example tickets",
    "/tickets": "Import example tickets",
    "/tickets/new": "Subject",
    "/review": "Nothing to review",
    "/jobs": "No open jobs",
    "/dead-letters": "No dead letters",
    "/workers": "aura run",
    "/incidents": "No incidents",
    "/audit": "No entries",
}


class UnisolatedText(HTMLParser):
    """Collects the words that turn the direction of writing, and stand neither in <bdi> nor where no markup can."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("bdi", "title", "option", "textarea"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if "\u202e" in data and not self.inside:
            self.found.append(data.strip()[:60])


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_page_names_the_next_step(browser: TestClient, path: str):
    answer = browser.get(path)
    text = EMPTY.get(path, "<table")

    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert answer.text.count("<h1") == 1
    assert 'aria-current="page"' in answer.text
    assert text in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_htmx_gets_the_main_element_alone(browser: TestClient, path: str):
    answer = browser.get(path, headers={"HX-Request": "true"})

    assert answer.text.lstrip().startswith("<main")
    assert answer.headers["Vary"] == "HX-Request"


def test_no_page_shows_hostile_text_as_markup(browser: TestClient, hand: Hand):
    # Given hostile words in every place that people and machines can write to
    done, waits = create_ticket(), create_ticket()
    hand.run()
    letter = create_dead_letter()
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == done).values(needs_review=True, assignee=HOSTILE))
        queue_controls.pause(session, "ai.classify", None, HOSTILE)
        schedule_runs.pause(session, "retention", True, HOSTILE)
        workers.beat(session, "w" * 32, HOSTILE[:200])
        session.add(Incident(title=HOSTILE, category="Network"))
        session.add(
            Correction(
                ticket_id=done,
                field="category",
                old="Other",
                old_by="engine",
                new=HOSTILE[:60],
                engine="e",
                confidence=0.5,
                author=HOSTILE,
            )
        )
        dead_letters.record_message(session, "ai.classify", HOSTILE.encode(), ValueError(HOSTILE))

    pages = [
        *PAGES,
        f"/tickets/{done}",
        f"/tickets/{waits}",
        f"/dead-letters/{letter}",
        f"/dead-letters/{letter + 1}",
        "/dead-letters?fingerprint=" + "f" * 12,
    ]
    pages += [f"/?done={HOSTILE}", f"/tickets?q={HOSTILE}", f"/tickets?q={HOSTILE[:20]}", "/ai/reliability.svg"]
    shown = {path: browser.get(path).text for path in pages}

    for path, text in shown.items():
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert "{{7*191}}" in text or "1337" not in text, path
    assert sum("&lt;script&gt;" in text for text in shown.values()) >= 10
    assert {path: found for path, text in shown.items() if (found := UnisolatedText(text).found)} == {}


def test_pages_load_nothing_from_other_sites(browser: TestClient):
    text = browser.get("/").text

    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert browser.get(address).status_code == 200, address
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert "style=" not in text and "onclick" not in text and "<style" not in text
