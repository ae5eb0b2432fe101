from __future__ import annotations

import pytest

from db import reading, ticket_texts, tickets, transaction
from db.new_tickets import NewTicket

pytestmark = pytest.mark.usefixtures("database")


def test_the_texts_of_the_newest_tickets_are_returned() -> None:
    with transaction() as session:
        tickets.create(
            session, "test", [(NewTicket(title="t", description=f"d{at}", requester="ada"), {}) for at in range(3)]
        )
    with reading() as session:
        assert ticket_texts.recent_descriptions(session, 2) == [("ada", "d2"), ("ada", "d1")]
