"""Changes since a cursor: the tickets that a stream sends again."""

from __future__ import annotations

import pytest

from db import changes, reading, transaction
from db.audit import Actor, acting
from db.new_tickets import NewTicket
from pipelines.triage import triage
from tests.embedded import Hand
from tests.unit.db.helpers import create, save_verdicts, verdict

pytestmark = pytest.mark.usefixtures("database")


def position() -> changes.Cursor:
    with reading() as session:
        return changes.cursor(session)


def changed(since: changes.Cursor) -> list[int] | None:
    with reading() as session:
        rows = changes.changed(session, since)
    return None if rows is None else sorted(row["id"] for row in rows)


def test_an_unchanged_database_has_no_changes():
    create(NewTicket(title="VPN drops"))
    assert changed(position()) == []


def test_a_new_ticket_an_attempt_and_an_action_are_changes(hand: Hand):
    worked, acted = create(NewTicket(title="VPN drops"), NewTicket(title="Printer jams"))
    before = position()
    triage.send(worked)
    hand.run()
    assert changed(before) == [worked]

    before = position()
    with acting(Actor("ann"), "ticket.assign", f"ticket/{acted}"):
        pass
    [new] = create(NewTicket(title="Badge lost"))
    assert {acted, new} <= set(changed(before) or [])


def test_more_changes_than_a_stream_sends_are_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changes, "MAX_TICKETS", 2)
    monkeypatch.setattr(changes, "OVERLAP", 0)
    before = position()
    create(*[NewTicket(title=str(number)) for number in range(3)])

    assert changed(before) is None


def test_tickets_with_a_verdict_are_classified():
    done, waiting = create(NewTicket(title="VPN drops"), NewTicket(title="Printer jams"))
    save_verdicts(verdict(done))

    with transaction() as session:
        assert changes.classified(session, [done, waiting, 10**6]) == {done}
