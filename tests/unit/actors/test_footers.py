"""Learned footers: from recent tickets to the content that workers read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors import footers
from actors.footers import learn_footers
from aura.ai.text.content import content_of, learned
from db import reading, tickets, transaction
from db.new_tickets import NewTicket

pytestmark = pytest.mark.usefixtures("database")

SLOGAN = "Falk & Sons - drawing the future since 1921, visit our gallery"
MATTERS = [
    "The dock is dead",
    "Outlook hangs",
    "No tone on my phone",
    "I need a licence",
    "The lamp flickers",
    "VPN drops",
]


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    footers.follow_footers = footers.TTLCache(footers.FOLLOW, footers._use)
    yield
    learned.use([])


def test_a_worker_leaves_out_the_footers_that_were_learned() -> None:
    with transaction() as session:
        tickets.create(
            session,
            "test",
            [
                (NewTicket(title=matter, description=f"{matter}\n\n{SLOGAN}", requester=f"p{at}@example.com"), {})
                for at, matter in enumerate(MATTERS)
            ],
        )
    text = f"The scanner beeps twice\n\n{SLOGAN}"
    assert content_of(text) == text.replace("\n\n", "\n")
    assert learn_footers() == 1
    with reading() as session:
        footers.follow_footers(session)
    assert content_of(text) == "The scanner beeps twice"
