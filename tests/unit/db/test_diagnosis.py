"""Diagnosis: the sentence of each reason why a job does not run."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

import actors
from aura.jobs.process_state import WORKER_ID
from db import diagnosis, jobs, queue_controls, reading, transaction, workers
from db.jobs import Failure, NewJob
from db.models import Job, Ticket, Worker
from db.new_tickets import NewTicket
from db.tickets import create
from db.time import from_now
from pipelines.triage import triage
from tests.embedded import Hand, claim, enqueue, letters, mark_hinted, one_job

pytestmark = pytest.mark.usefixtures("database")

QUEUES = {name: actors.broker.get_actor(name).queue_name for name in ("intake", "classify", "notify", "email")}


@pytest.fixture(autouse=True)
def living(database: str) -> None:
    """A worker and a relay."""
    with transaction() as session:
        workers.beat(session, WORKER_ID, "host:17")
        workers.beat(session, "relay", "host:18", "relay")


def sentence(job_id: int | None = None, max_in_flight: int = 2000) -> str:
    with reading() as session:
        state = diagnosis.snapshot(session, QUEUES, 10.0, max_in_flight)
        return diagnosis.job(session, one_job().id if job_id is None else job_id, state)


def about(ticket_id: int) -> str:
    with reading() as session:
        return diagnosis.ticket(session, ticket_id, diagnosis.snapshot(session, QUEUES, 10.0, 2000))


def change(**values: object) -> None:
    with transaction() as session:
        session.execute(update(Job).values(**values))


def test_an_available_job_says_how_many_are_ahead():
    enqueue(NewJob("classify", "1", priority=9), NewJob("classify", "2"))
    with reading() as session:
        second = session.scalars(diagnosis.select(Job.id).where(Job.key == "2")).one()

    assert sentence(second) == "Available: behind 1 job of classify."


def test_a_running_job_names_its_worker():
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id)

    assert sentence() == "Running on host:17, attempt 1."


def test_a_job_of_a_silent_worker_says_for_how_long():
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id)
    with transaction() as session:
        session.execute(update(Worker).where(Worker.id == WORKER_ID).values(heartbeat_at=from_now(-9)))

    silent = re.match(r"Its worker sent no heartbeat for (\d+) seconds; the job becomes available again", sentence())
    assert silent is not None
    assert 9 <= int(silent[1]) < 30


def test_a_scheduled_and_a_retrying_job_say_when_they_are_due():
    enqueue(NewJob("classify", "1", delay=600))
    assert sentence().startswith("Scheduled for ") and "in 9 minutes" in sentence()

    change(last_error="TimeoutError: slow", attempts=3)
    assert sentence().startswith("Retrying at ") and sentence().endswith("Attempt 3 failed: TimeoutError: slow")


def test_a_job_of_a_paused_queue_has_the_reason():
    enqueue(NewJob("classify", "1"))
    with transaction() as session:
        queue_controls.pause(session, "ai.classify", None, "the provider moves")

    assert sentence() == "Queue ai.classify is paused until it is resumed: the provider moves"


def test_a_job_of_a_queue_at_its_limit_names_the_limit():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    with reading() as session:
        first, second = session.scalars(diagnosis.select(Job.id).order_by(Job.id)).all()
    claim("classify", first)
    with transaction() as session:
        queue_controls.limit(session, "ai.classify", 1)

    assert sentence(second) == "Queue ai.classify has reached its limit of 1 running job."


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("worker", "No worker is running."), ("relay", "No relay is running, so no job reaches a worker.")],
)
def test_a_job_without_a_live_process_says_which_kind_is_missing(kind: str, reason: str):
    enqueue(NewJob("classify", "1"))
    with transaction() as session:
        session.execute(update(Worker).where(Worker.kind == kind).values(heartbeat_at=from_now(-60)))

    assert sentence() == reason


def test_a_suspect_says_how_many_workers_crashed():
    enqueue(NewJob("classify", "1"))
    change(crashes=2)

    assert sentence().startswith("Suspect: 2 workers crashed while they ran it")


def test_a_queued_job_says_how_many_are_queued():
    enqueue(NewJob("classify", "1"))
    mark_hinted()

    assert sentence() == "Queued: waits for a free worker, like 1 job of classify in all."


def test_a_job_beyond_the_most_in_flight_names_the_setting():
    enqueue(NewJob("classify", "1"))
    mark_hinted()
    enqueue(NewJob("classify", "2"))
    with reading() as session:
        second = session.scalars(diagnosis.select(Job.id).where(Job.key == "2")).one()

    assert sentence(second, max_in_flight=1).endswith("1 job queued, the limit (AURA_MAX_IN_FLIGHT).")


def test_a_job_of_an_unknown_actor_names_the_actor():
    enqueue(NewJob("renamed", "1"))

    assert sentence().startswith("This version declares no actor renamed")


def test_a_dead_job_names_its_dead_letter_and_a_missing_job_has_its_number():
    enqueue(NewJob("classify", "1"))
    job = one_job()
    with transaction() as session:
        jobs.dead_letter(
            session,
            [
                (each, Failure("E", "boom", "", "f"))
                for each in jobs.claim(session, "classify", [job.id], "l", WORKER_ID)
            ],
        )

    assert sentence(job.id) == f"Dead letter {letters()[0].id} (dead): boom"
    assert sentence(99) == "No open job 99: it is completed, or it never existed."
    assert sentence(-1).startswith("No open job -1")


def test_a_ticket_in_triage_and_after_it(hand: Hand):
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title="VPN drops", requester="ada@example.com"), {})])
        triage.send(ticket)
    assert about(ticket).startswith("intake: Available: ")

    hand.run()
    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=False))
    assert about(ticket) == "Triage is complete."

    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=True))
    assert about(ticket) == "Triage is complete; the verdict needs a review."
    assert about(ticket + 1) == f"No ticket {ticket + 1}."


def test_a_ticket_without_a_job_and_a_ticket_with_a_dead_letter():
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title="VPN drops"), {})])
    assert about(ticket).startswith("No open job; the scheduled job `recovery`")

    triage.send(ticket)
    with transaction() as session:
        claimed = jobs.claim(session, "intake", [one_job().id], "l", WORKER_ID)
        jobs.dead_letter(session, [(each, Failure("E", "boom", "", "f")) for each in claimed])
    assert about(ticket) == f"intake failed permanently, see dead letter {letters()[0].id}: boom"
