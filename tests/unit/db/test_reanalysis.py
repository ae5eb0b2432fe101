"""Re-analysis: which tickets have a stale verdict, and the pipeline that analyzes them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

import actors
from actors.batch_analysis import advance
from actors.classify import classify
from actors.reanalyze import reanalyze
from db import reading, transaction
from db import reanalysis as reanalysis_queries
from db.models import Ticket
from db.new_tickets import NewTicket
from db.reanalysis import RemoteEngine, StaleVerdict
from db.time import from_now, now
from pipelines.reanalysis import reanalysis, reanalyze_stale
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, letters
from tests.unit.db.helpers import create, one_ticket, save_verdicts, update_tickets, verdict


def stale(remote: bool = False, limit: int = 100) -> list[StaleVerdict]:
    engine = RemoteEngine("model", "prompt") if remote else None
    with reading() as session:
        return reanalysis_queries.stale_verdicts(session, 3, 0.5, engine, limit)


@pytest.mark.usefixtures("database")
class TestReanalysis:
    @pytest.mark.parametrize(
        ("values", "hours", "verdict_of", "reason"),
        [
            ({}, 1, None, ""),
            ({}, 73, None, "its verdict was old"),
            ({"confidence": 0.4}, 1, None, ""),
            ({"confidence": 0.4}, 13, None, "its confidence was low"),
            ({"changed_at": now()}, 0.1, None, reanalysis_queries.CHANGED),
            # with a remote engine: verdicts of another engine, model or prompt
            ({}, 2, {}, ""),
            ({}, 2, {"engine": "local"}, "the local engine classified it"),
            ({}, 0.5, {"engine": "local"}, ""),
            ({}, 2, {"model": "another"}, "another model classified it"),
            ({}, 2, {"prompt_version": "older"}, "an older prompt classified it"),
            # resolved, or reviewed in part or in full
            ({"status": "resolved"}, 73, {}, ""),
            ({"category_by": "human"}, 73, None, "its verdict was old"),
            ({"category_by": "human", "priority_by": "human"}, 73, {}, ""),
        ],
    )
    def test_a_stale_verdict_is_selected_with_its_reason(
        self, values: dict[str, Any], hours: float, verdict_of: dict[str, str] | None, reason: str
    ):
        (ticket,) = create(NewTicket(title="x"))
        current = {"engine": "openai", "model": "model", "prompt_version": "prompt"}
        save_verdicts(verdict(ticket) | (current | verdict_of if verdict_of is not None else {}))
        update_tickets(classified_at=from_now(-hours * 3600), **values)

        assert stale(remote=verdict_of is not None) == ([StaleVerdict(ticket, reason)] if reason else [])

    def test_new_tickets_do_not_wait_for_a_reanalysis(self):
        # Given what a worker of eight threads prefetches, and what Dramatiq takes first of that: the lower number
        broker, prefetch = actors.broker, 16
        shares = {name: broker.bulkhead.slot(broker, each.queue_name, prefetch)[0] for name, each in (
            ("new", classify), ("again", reanalyze), ("together", advance)
        )}  # fmt: skip
        assert shares == {"new": prefetch, "again": 1, "together": 1}
        assert reanalyze.priority > classify.priority
        assert reanalyze.queue_name != classify.queue_name

    def test_a_ticket_without_a_verdict_is_not_selected(self):
        create(NewTicket(title="x"))
        update_tickets(created_at=from_now(-10 * 86_400))

        assert stale(remote=True) == []

    def test_the_oldest_verdict_comes_first_and_the_limit_holds(self):
        first, second, third = create(*[NewTicket(title=str(number)) for number in range(3)])
        save_verdicts(*[verdict(ticket) for ticket in (first, second, third)])
        for ticket, days in ((first, 5), (second, 9), (third, 7)):
            with transaction() as session:
                session.execute(
                    update(Ticket).where(Ticket.id == ticket).values(classified_at=from_now(-days * 86_400))
                )

        assert [each.id for each in stale()] == [second, third, first]
        assert [each.id for each in stale(limit=1)] == [second]

    @pytest.mark.parametrize("changed", [True, False])
    def test_only_a_changed_verdict_is_notified_again(self, hand: Hand, monkeypatch: pytest.MonkeyPatch, changed: bool):
        from db.models import Notification
        from tests.embedded import count

        # Given a notified ticket with a verdict of four days ago
        triage.send_many(create(NewTicket(title="VPN drops every ten minutes", requester="ada@example.com")))
        hand.run()
        notified = count(Notification)
        if changed:
            update_tickets(category="Hardware")
        update_tickets(classified_at=from_now(-4 * 86_400))
        # When the scheduled job runs
        assert reanalyze_stale() == 1
        assert [(job.actor, job.pipeline, job.next_steps) for job in all_jobs()] == [
            ("reanalyze", "reanalysis", ["notify"])
        ]
        hand.run()
        # Then
        assert one_ticket().version == (2 if changed else 1)
        assert one_ticket().notified_version == one_ticket().version
        assert (count(Notification) > notified) == changed
        assert reanalyze_stale() == 0
        assert letters() == []

    def test_jobs_of_triage_and_reanalysis_do_not_merge(self):
        (ticket,) = create(NewTicket(title="x"))
        triage.send(ticket)
        reanalysis.send(ticket)
        classify.send(ticket)

        assert {(job.actor, job.pipeline) for job in all_jobs()} == {
            ("intake", "triage"),
            ("reanalyze", "reanalysis"),
            ("classify", ""),
        }
