"""Why is this not running? Each cause has its sentence."""

from __future__ import annotations

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
from tests.embedded import Hand, claim, letters, mark_hinted, one_job, promise

pytestmark = pytest.mark.usefixtures("database")

QUEUES = {name: actors.broker.get_actor(name).queue_name for name in ("intake", "classify", "notify", "email")}


@pytest.fixture(autouse=True)
def living(database: str) -> None:
    """A worker and a relay."""
    with transaction() as session:
        workers.beat(session, WORKER_ID, "host:17")
        workers.beat(session, "relay", "host:18", "relay")


def sentence(job_id: int | None = None, window: int = 2000) -> str:
    with reading() as session:
        around = diagnosis.snapshot(session, QUEUES, 10.0, window)
        return diagnosis.job(session, one_job().id if job_id is None else job_id, around)


def about(ticket_id: int) -> str:
    with reading() as session:
        return diagnosis.ticket(session, ticket_id, diagnosis.snapshot(session, QUEUES, 10.0, 2000))


def change(**values: object) -> None:
    with transaction() as session:
        session.execute(update(Job).values(**values))


def test_it_is_due_and_waits_in_line():
    promise(NewJob("classify", "1", priority=9), NewJob("classify", "2"))
    with reading() as session:
        second = session.scalars(diagnosis.select(Job.id).where(Job.key == "2")).one()

    assert sentence(second) == "It is due, and waits in line behind 1 job of classify."


def test_it_is_running():
    promise(NewJob("classify", "1"))
    claim("classify", one_job().id)

    assert sentence() == "It is running on host:17, attempt 1."


def test_its_worker_is_silent():
    promise(NewJob("classify", "1"))
    claim("classify", one_job().id)
    with transaction() as session:
        session.execute(update(Worker).where(Worker.id == WORKER_ID).values(heartbeat_at=from_now(-9)))

    assert sentence().startswith("The worker that runs it has not been heard of for 9 seconds; it is due again")


def test_it_is_due_later_and_says_what_failed():
    promise(NewJob("classify", "1", delay=600))
    assert sentence().startswith("It is due at ") and "in 9 minutes" in sentence()

    change(last_error="TimeoutError: slow", attempts=3)
    assert sentence().endswith("after attempt 3 failed: TimeoutError: slow")


def test_its_queue_is_paused():
    promise(NewJob("classify", "1"))
    with transaction() as session:
        queue_controls.pause(session, "ai.classify", None, "the provider moves")

    assert sentence() == "The queue ai.classify is paused until somebody resumes it (the provider moves)."


def test_its_queue_is_full():
    promise(NewJob("classify", "1"), NewJob("classify", "2"))
    with reading() as session:
        first, second = session.scalars(diagnosis.select(Job.id).order_by(Job.id)).all()
    claim("classify", first)
    with transaction() as session:
        queue_controls.limit(session, "ai.classify", 1)

    assert sentence(second) == "The queue ai.classify may run 1 jobs at once, and does."


@pytest.mark.parametrize(("kind", "said"), [("worker", "No worker lives"), ("relay", "No relay lives")])
def test_nobody_lives(kind: str, said: str):
    promise(NewJob("classify", "1"))
    with transaction() as session:
        session.execute(update(Worker).where(Worker.kind == kind).values(heartbeat_at=from_now(-60)))

    assert sentence().startswith(said)


def test_it_is_a_suspect():
    promise(NewJob("classify", "1"))
    change(crashes=2)

    assert sentence() == "It took 2 workers down, so it is tried alone, when no other such job is under way."


def test_it_is_inside_the_broker():
    promise(NewJob("classify", "1"))
    mark_hinted()

    assert sentence() == "A worker is about to take it: 1 jobs of classify wait inside RabbitMQ."


def test_the_window_is_full():
    promise(NewJob("classify", "1"))
    mark_hinted()
    promise(NewJob("classify", "2"))
    with reading() as session:
        second = session.scalars(diagnosis.select(Job.id).where(Job.key == "2")).one()

    assert "1 wait inside RabbitMQ, as many as AURA_MAX_IN_FLIGHT lets in" in sentence(second, window=1)


def test_nobody_knows_its_actor():
    promise(NewJob("renamed", "1"))

    assert sentence().startswith("No actor renamed is declared here")


def test_it_was_given_up_or_is_done():
    promise(NewJob("classify", "1"))
    job = one_job()
    with transaction() as session:
        jobs.dead_letter(
            session,
            [
                (each, Failure("E", "boom", "", "f"))
                for each in jobs.claim(session, "classify", [job.id], "l", WORKER_ID)
            ],
        )

    assert sentence(job.id) == f"It was given up, and is dead letter {letters()[0].id} (dead): boom"
    assert sentence(99) == "There is no job 99: it is done, or it never was."
    assert sentence(-1) == "There is no job -1: it is done, or it never was."


def test_a_ticket_on_its_way_and_at_its_end(hand: Hand):
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title="VPN drops", requester="ada@example.com"), {})])
        triage.send(ticket)
    assert about(ticket).startswith("intake: It is due")

    hand.run()
    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=False))
    assert about(ticket) == "Nothing is left to do: it was classified, and people were told."

    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=True))
    assert "a person should look" in about(ticket)
    assert about(ticket + 1) == f"There is no ticket {ticket + 1}."


def test_a_ticket_that_got_stuck_and_one_that_nobody_promises():
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title="VPN drops"), {})])
    assert about(ticket).startswith("Nothing promises it any more")

    triage.send(ticket)
    with transaction() as session:
        found = jobs.claim(session, "intake", [one_job().id], "l", WORKER_ID)
        jobs.dead_letter(session, [(each, Failure("E", "boom", "", "f")) for each in found])
    assert (
        about(ticket)
        == f"intake was given up, and is dead letter {letters()[0].id}: boom Replay it when that is mended."
    )
