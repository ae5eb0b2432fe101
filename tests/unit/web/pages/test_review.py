"""The review page."""

from __future__ import annotations

from fastapi.testclient import TestClient
from sqlalchemy import update

from db import transaction
from db.models import Ticket
from tests.embedded import Hand
from tests.unit.web.clients import create_ticket, stored_ticket, submit


def test_a_review_shows_the_next_ticket(browser: TestClient, hand: Hand):
    numbers = [create_ticket(), create_ticket()]
    hand.run()
    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=True))

    first = next(n for n in numbers if f"/review/{n}" in browser.get("/review").text)
    submit(browser, f"/review/{first}", category="Security")

    assert stored_ticket(first).category_by == "human"
    assert f"/review/{(set(numbers) - {first}).pop()}" in browser.get("/review").text
    assert "/review/" not in browser.get("/review?skip=1").text
