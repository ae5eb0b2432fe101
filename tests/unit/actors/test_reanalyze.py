"""The actor `reanalyze`: new verdicts, a provider that must be waited for, permanent errors, and the size of a hint."""

from __future__ import annotations

import pytest

from actors import reanalyze
from aura.ai import EngineError
from db import queue_controls, reading
from db.models import Notification, VerdictRecord
from pipelines.reanalysis import reanalysis
from tests.embedded import Hand, count, letters
from tests.unit.actors.engine_settings import LOCAL, ONE_BY_ONE
from tests.unit.remote_engine import Remote, rows, submit, ticket_of


@pytest.mark.usefixtures("database")
def test_a_reanalysis_upgrades_the_verdict_and_notifies_nobody_again(hand: Hand, remote: Remote) -> None:
    remote.says = remote.says._replace(engine="local", model="local-1", calls=(), fallback="openai: down")
    ticket = submit()
    hand.run()
    notified = count(Notification)
    remote.says = remote.says._replace(engine="openai", model="m-1", fallback="")

    reanalysis.send(ticket)
    hand.run()

    assert [row.engine for row in rows(VerdictRecord)] == ["local", "openai"]
    assert count(Notification) == notified


@pytest.mark.usefixtures("database")
def test_a_reanalysis_that_must_wait_pauses_its_queue_and_keeps_the_verdict(hand: Hand, remote: Remote) -> None:
    ticket = submit()
    hand.run()
    before = ticket_of(ticket).classified_at
    remote.error = EngineError("too many requests (429)", permanent=False, retry_after=300)

    reanalysis.send(ticket)
    hand.run()

    with reading() as session:
        held = queue_controls.current(session)["ai.reanalyze"]
    assert (held.paused, held.reason) == (True, "too many requests (429)")
    assert len(rows(VerdictRecord)) == 1
    assert ticket_of(ticket).classified_at == before, "the next sweep finds it again"
    assert letters() == []


@pytest.mark.usefixtures("database")
def test_a_reanalysis_with_a_permanent_error_is_not_repeated_each_night(hand: Hand, remote: Remote) -> None:
    ticket = submit()
    hand.run()
    before = ticket_of(ticket).classified_at
    remote.error = EngineError("the model refused to answer", permanent=True)
    reanalysis.send(ticket)
    hand.run()
    assert len(rows(VerdictRecord)) == 1
    after = ticket_of(ticket).classified_at
    assert before is not None and after is not None and after > before


def test_a_hint_of_reanalysis_is_short() -> None:
    assert reanalyze.batch_size(LOCAL) == reanalyze.BATCH_LIMIT
    assert reanalyze.batch_size(ONE_BY_ONE) == 1
