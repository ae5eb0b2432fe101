"""Recovery: a ticket without a job is triaged again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from db import jobs, transaction
from db.jobs import Failure, NewJob
from db.models import DeadLetter, Ticket
from db.new_tickets import NewTicket
from db.time import from_now, now
from pipelines.recovery import restart_stranded
from tests.embedded import Hand, all_jobs, claim, enqueue, move
from tests.unit.db.helpers import create, one_ticket, update_tickets


@pytest.mark.usefixtures("database")
class TestRecovery:
    def test_a_ticket_without_a_job_is_triaged_again(self, hand: Hand):
        (ticket,) = create(NewTicket(title="VPN drops", requester="ada@example.com"))
        assert restart_stranded() == 0, "its job may be about to be enqueued"

        move(Ticket, created_at=-121)
        assert restart_stranded() == 1
        assert restart_stranded() == 0
        hand.run()

        assert (one_ticket().id, one_ticket().stage) == (ticket, "notified")
        assert restart_stranded() == 0

    @pytest.mark.parametrize("stage", ["received", "prepared", "classified"])
    def test_a_ticket_without_a_job_is_found_at_every_stage(self, stage: str):
        create(NewTicket(title="x"))
        update_tickets(stage=stage, created_at=from_now(-121))

        assert restart_stranded() == 1

    def test_an_old_ticket_with_a_job_is_left_alone(self):
        (ticket,) = create(NewTicket(title="x"))
        move(Ticket, created_at=-10_000)
        enqueue(NewJob("classify", str(ticket), delay=3600))

        assert restart_stranded() == 0

    @pytest.mark.parametrize(("state", "recovered"), [("dead", 0), ("discarded", 0), ("replayed", 1)])
    def test_a_ticket_with_a_dead_letter_is_left_alone_until_its_replay(self, state: str, recovered: int):
        (ticket,) = create(NewTicket(title="x"))
        move(Ticket, created_at=-121)
        enqueue(NewJob("classify", str(ticket)))
        claimed = claim("classify", all_jobs()[0].id)
        with transaction() as session:
            jobs.dead_letter(session, [(job, Failure("X", "x", "", "")) for job in claimed])
            session.execute(update(DeadLetter).values(state=state))

        assert restart_stranded() == recovered

    @pytest.mark.parametrize("values", [{"stage": "notified", "notified_at": now()}, {"status": "closed"}])
    def test_a_finished_or_closed_ticket_is_left_alone(self, values: dict[str, Any]):
        create(NewTicket(title="x"))
        update_tickets(created_at=from_now(-121), **values)

        assert restart_stranded() == 0

    def test_a_message_whose_id_is_a_ticket_id_does_not_hide_the_ticket(self):
        from actors.plain_messages import PlainJson

        (ticket,) = create(NewTicket(title="x"))
        move(Ticket, created_at=-121)
        with transaction() as session:
            PlainJson("tickets.intake", "receive", {"title": "y"}, b"{}").accept(session, str(ticket))

        assert restart_stranded() == 1
