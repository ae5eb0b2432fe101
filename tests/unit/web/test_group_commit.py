"""Group commit: tickets are stored many at a time, and each request gets its own result."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from aura.errors import Overloaded
from aura.web import group_commit
from aura.web.group_commit import CreateRequest, TicketWriter, UsedWithAnotherBody, store
from db import queue_controls, reading, tickets, transaction
from db.fair_shares import share_of
from db.idempotency import KeyUse, use_of
from db.models import IdempotencyKey, Job, Ticket
from db.new_tickets import NewTicket
from db.timeline import summary
from tests.embedded import Hand, all_jobs, cache_no_controls, count

pytestmark = pytest.mark.usefixtures("database")


def new_ticket(title: str, key: str | None = None, body: str = "", **fields: Any) -> CreateRequest:
    payload = {"title": title, **fields}
    return CreateRequest(NewTicket.model_validate(payload), payload, KeyUse(key, body or title) if key else None)


def titles() -> dict[int, str]:
    with reading() as session:
        return {row.id: row.title for row in session.execute(select(Ticket.id, Ticket.title))}


def create_all(writer: TicketWriter, requests: list[CreateRequest]) -> list[Any]:
    async def run() -> list[Any]:
        return await asyncio.gather(*(writer.create(each) for each in requests), return_exceptions=True)

    return asyncio.run(run())


@pytest.fixture
def resume(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that lets the writers go on."""
    resume = threading.Event()

    def slow(requests: list[CreateRequest]) -> list[Any]:
        assert resume.wait(60)
        return store(requests)

    monkeypatch.setattr(group_commit, "store", slow)
    return resume


def test_requests_at_the_same_moment_share_a_transaction(monkeypatch: pytest.MonkeyPatch):
    together: list[int] = []

    def counted(requests: list[CreateRequest]) -> list[Any]:
        together.append(len(requests))
        return store(requests)

    monkeypatch.setattr(group_commit, "store", counted)
    answers = create_all(TicketWriter(), [new_ticket(f"Printer {n}") for n in range(100)])

    assert [titles()[answer] for answer in answers] == [f"Printer {n}" for n in range(100)]
    assert len(all_jobs()) == 100
    assert sum(together) == 100
    assert len(together) < 20


def test_equal_tickets_without_a_key_are_separate_tickets():
    answers = create_all(TicketWriter(), [new_ticket("The same") for _ in range(10)])

    assert len(set(answers)) == 10


def test_the_same_request_with_an_external_id_is_one_ticket_in_one_transaction_and_over_two():
    one = new_ticket("One", external_id="A1")
    first = create_all(TicketWriter(), [one, one, new_ticket("Three")])
    second = create_all(TicketWriter(), [one])

    assert first[0] == first[1] == second[0]
    assert first[2] != first[0]
    assert count(Ticket) == count(Job) == 2


def test_an_external_id_with_another_body_is_refused_with_the_number_and_the_difference():
    first, second = create_all(
        TicketWriter(), [new_ticket("One", external_id="A1"), new_ticket("Two", external_id="A1", department="IT")]
    )
    (third,) = create_all(TicketWriter(), [new_ticket("Three", external_id="A1")])

    assert isinstance(second, UsedWithAnotherBody)
    assert second.members == {"ticket_id": first, "differs": ["title", "department"]}
    assert f"ticket {first}" in str(second)
    assert isinstance(third, UsedWithAnotherBody)
    assert count(Ticket) == count(Job) == 1


def test_an_external_id_and_a_key_belong_to_their_client():
    answers = store(
        [
            replace(new_ticket(name, external_id="4711"), use=use_of(name, "nightly", name), client=name)
            for name in ("key intranet", "key monitoring", "user ada")
        ]
    )

    assert len(set(answers)) == count(Ticket) == count(IdempotencyKey) == 3
    with reading() as session:
        found = [tickets.find(session, "http", "4711", name) for name in ("key intranet", "key monitoring", "user ada")]
        assert [summary(session.get_one(Ticket, number))["external_id"] for number in found if number] == ["4711"] * 3
    assert found == answers


def test_a_request_that_is_refused_for_its_external_id_leaves_its_key_free():
    store([new_ticket("One", external_id="A1")])
    (refused,) = store([new_ticket("Two", "key", external_id="A1")])
    again = store([new_ticket("Two", "key", external_id="A1"), new_ticket("Other", "other")])

    assert [type(refused), type(again[0])] == [UsedWithAnotherBody] * 2
    assert count(IdempotencyKey) == 1


def test_a_reused_key_names_the_ticket_of_the_key_and_that_of_the_external_id():
    (first, second) = store([new_ticket("One", "key"), new_ticket("Two", external_id="A1")])
    (refused,) = store([new_ticket("Three", "key", external_id="A1")])

    assert isinstance(refused, UsedWithAnotherBody)
    assert f"ticket {first}" in str(refused)
    assert f"ticket {second}" in str(refused)
    assert refused.members["differs"] == ["title", "external_id"]


def test_tickets_and_keys_of_an_earlier_version_answer_the_same_request_of_their_client():
    old = {"title": "Old", "external_id": "A1"}
    with transaction() as session:
        [number] = tickets.create(session, "http", [(NewTicket.model_validate(old), old)])
        session.add(IdempotencyKey(key="nightly#1", fingerprint="body", ticket_id=number))
    same = replace(new_ticket(**old), client="key monitoring")
    other = replace(new_ticket("New", external_id="A1"), client="key intranet")
    repeated = replace(new_ticket("Old"), use=use_of("key monitoring", "nightly", "body", 1), client="key monitoring")
    changed = replace(new_ticket("New"), use=use_of("key intranet", "nightly", "other body", 1), client="key intranet")

    answers = store([same, other, repeated, changed])

    assert [answers[0], answers[2]] == [number, number]
    assert len({number, answers[1], answers[3]}) == count(Ticket) == 3


def test_an_idempotency_key_is_one_ticket_within_and_across_batches():
    writer = TicketWriter()
    answers = create_all(
        writer, [new_ticket("One", "key"), new_ticket("One", "key"), new_ticket("Other", "key", body="else")]
    )
    again = create_all(writer, [new_ticket("One", "key"), new_ticket("Other", "key", body="else")])

    assert answers[0] == answers[1] == again[0]
    assert isinstance(answers[2], UsedWithAnotherBody)
    assert isinstance(again[1], UsedWithAnotherBody)
    assert count(Ticket) == 1


def test_two_processes_with_one_key_make_one_ticket(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "LOCK_TIMEOUT", 60.0)
    start = threading.Barrier(4)
    answers: list[Any] = []

    def process() -> None:
        start.wait()
        for number in range(20):
            answers.extend(store([new_ticket(f"Number {number}", f"key {number}"), new_ticket("Alone")]))

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert sorted(title for title in titles().values() if title != "Alone") == sorted(f"Number {n}" for n in range(20))
    assert count(IdempotencyKey) == 20


def test_a_ticket_that_cannot_be_stored_does_not_affect_the_others(monkeypatch: pytest.MonkeyPatch):
    usual = tickets.create_once

    def picky(session: Any, source: str, submissions: Any, clients: Any) -> Any:
        submissions = list(submissions)
        if any(each.title == "Poison" for each, _ in submissions):
            raise IntegrityError("INSERT", {}, ValueError("it is poison"))
        return usual(session, source, submissions, clients)

    monkeypatch.setattr(tickets, "create_once", picky)
    answers = create_all(TicketWriter(), [new_ticket("One"), new_ticket("Poison", "key"), new_ticket("Two")])

    assert sorted(titles().values()) == ["One", "Two"]
    assert isinstance(answers[1], IntegrityError)
    assert count(IdempotencyKey) == 0, "a request that failed may come again"


def test_without_a_database_every_request_fails_and_nothing_is_stored(monkeypatch: pytest.MonkeyPatch):
    def gone(*_arguments: Any, **_options: Any) -> Any:
        raise OperationalError("INSERT", {}, ValueError("connection refused"))

    monkeypatch.setattr(group_commit.triage, "send_many", gone)
    answers = create_all(TicketWriter(), [new_ticket("One"), new_ticket("Two")])

    assert all(isinstance(answer, SQLAlchemyError) for answer in answers)
    assert count(Ticket) == 0


def test_a_full_queue_refuses_further_requests(monkeypatch: pytest.MonkeyPatch, resume: threading.Event):
    monkeypatch.setattr(group_commit, "MAX_WAIT", 3600.0)
    writer = TicketWriter(batch=1, writers=1, queue_size=5)

    async def run() -> list[Any]:
        waiting = [asyncio.create_task(writer.create(new_ticket(f"Number {n}"))) for n in range(5)]
        while writer.begun < 1:
            await asyncio.sleep(0)
        waiting += [asyncio.create_task(writer.create(new_ticket(f"Number {n}"))) for n in range(5, 10)]
        await asyncio.sleep(0)
        resume.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(run())

    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert len(refused) == 4
    assert count(Ticket) == 6


def test_a_request_is_refused_while_the_oldest_waits_too_long(monkeypatch: pytest.MonkeyPatch, resume: threading.Event):
    monkeypatch.setattr(group_commit, "MAX_WAIT", 0.0)
    writer = TicketWriter()

    async def run() -> tuple[int, int]:
        # the line is empty again at once, for the first one is being written
        first = asyncio.create_task(writer.create(new_ticket("First")))
        while writer.begun < 1:
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await writer.create(new_ticket("Second"))
        resume.set()
        return await first, await writer.create(new_ticket("Third"))

    assert [titles()[answer] for answer in asyncio.run(run())] == ["First", "Third"]


def test_a_client_that_disconnects_does_not_affect_the_others():
    writer = TicketWriter(batch=1, writers=1)

    async def run() -> int:
        first = asyncio.create_task(writer.create(new_ticket("First")))
        gone = asyncio.create_task(writer.create(new_ticket("Gone")))
        last = asyncio.create_task(writer.create(new_ticket("Last")))
        await asyncio.sleep(0)
        gone.cancel()
        await first
        return await last

    answer = asyncio.run(run())

    assert titles()[answer] == "Last"
    assert "Gone" not in titles().values()


def test_the_ids_do_not_depend_on_the_order_in_which_the_database_answers():
    with transaction() as session:
        stored = tickets.create_each(session, "test", [(NewTicket(title=f"T{n}"), {"n": n}) for n in range(300)])

    with reading() as session:
        by_id = {row.id: row.raw for row in session.execute(text("SELECT id, raw FROM tickets"))}
    assert [by_id[ticket_id] for ticket_id, new in stored if new] == [f'{{"n": {n}}}' for n in range(300)]


def test_large_requests_do_not_share_a_transaction(monkeypatch: pytest.MonkeyPatch):
    together: list[int] = []

    def counted(requests: list[CreateRequest]) -> list[Any]:
        together.append(sum(each.size for each in requests))
        return store(requests)

    monkeypatch.setattr(group_commit, "store", counted)
    sizes = [600_000, 300_000, 600_000, 2_000_000, 10, 10]
    answers = create_all(TicketWriter(), [replace(new_ticket(f"T{n}"), size=size) for n, size in enumerate(sizes)])

    assert sorted(answers) == sorted(set(answers))
    assert sum(together) == sum(sizes)
    assert max(together) == 2_000_000


def test_jobs_of_a_ticket_have_the_share_of_its_client_and_requester_until_the_mail(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
):
    cache_no_controls(monkeypatch)
    shares = {share_of(f"http:{client}", "ada@example.com") for client in ("", "key monitoring")}
    asked = [new_ticket(f"VPN {number} drops", requester="Ada@example.com") for number in range(2)]
    store([asked[0], replace(asked[1], client="key monitoring")])
    assert {job.share for job in all_jobs()} == shares

    with transaction() as session:
        queue_controls.pause(session, "notify.email")
    hand.run()

    deliveries = [job for job in all_jobs() if job.actor == "email"]
    assert {job.share for job in deliveries} == shares
