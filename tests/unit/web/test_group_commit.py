"""Tickets over HTTP are stored many at a time, and nobody notices: each request gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from aura.web import group_commit
from aura.web.group_commit import CreateRequest, KeyUsedBefore, TicketWriter, TooMany, store
from db import reading, tickets, transaction
from db.idempotency import KeyUse
from db.models import IdempotencyKey, Job, Ticket
from db.new_tickets import NewTicket
from tests.embedded import all_jobs, count

pytestmark = pytest.mark.usefixtures("database")


def report(title: str, key: str | None = None, body: str = "", **fields: Any) -> CreateRequest:
    payload = {"title": title, **fields}
    return CreateRequest(NewTicket.model_validate(payload), payload, KeyUse(key, body or title) if key else None)


def titles() -> dict[int, str]:
    with reading() as session:
        return {row.id: row.title for row in session.execute(select(Ticket.id, Ticket.title))}


def accept_all(acceptor: TicketWriter, reports: list[CreateRequest]) -> list[Any]:
    async def run() -> list[Any]:
        return await asyncio.gather(*(acceptor.accept(each) for each in reports), return_exceptions=True)

    return asyncio.run(run())


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set it, and what waits to be stored is stored."""
    go_on = threading.Event()

    def slow(reports: list[CreateRequest]) -> list[Any]:
        go_on.wait(20)
        return store(reports)

    monkeypatch.setattr(group_commit, "store", slow)
    return go_on


def test_requests_that_wait_together_share_a_transaction(monkeypatch: pytest.MonkeyPatch):
    together: list[int] = []

    def counted(reports: list[CreateRequest]) -> list[Any]:
        together.append(len(reports))
        return store(reports)

    monkeypatch.setattr(group_commit, "store", counted)
    answers = accept_all(TicketWriter(), [report(f"Printer {n}") for n in range(100)])

    assert [titles()[answer] for answer in answers] == [f"Printer {n}" for n in range(100)]
    assert len(all_jobs()) == 100
    assert sum(together) == 100
    assert len(together) < 20


def test_equal_tickets_are_tickets_of_their_own():
    answers = accept_all(TicketWriter(), [report("The same") for _ in range(10)])

    assert len(set(answers)) == 10


def test_the_same_external_id_is_one_ticket_in_one_transaction_and_over_two():
    first = accept_all(
        TicketWriter(), [report("One", external_id="A1"), report("Two", external_id="A1"), report("Three")]
    )
    second = accept_all(TicketWriter(), [report("Again", external_id="A1")])

    assert first[0] == first[1] == second[0]
    assert first[2] != first[0]
    assert count(Ticket) == count(Job) == 2


def test_a_key_is_one_ticket_however_often_and_whenever_it_comes():
    acceptor = TicketWriter()
    answers = accept_all(acceptor, [report("One", "key"), report("One", "key"), report("Other", "key", body="else")])
    again = accept_all(acceptor, [report("One", "key"), report("Other", "key", body="else")])

    assert answers[0] == answers[1] == again[0]
    assert isinstance(answers[2], KeyUsedBefore)
    assert isinstance(again[1], KeyUsedBefore)
    assert count(Ticket) == 1


def test_two_processes_with_one_key_make_one_ticket():
    start = threading.Barrier(4)
    answers: list[Any] = []

    def process() -> None:
        start.wait()
        for number in range(20):
            answers.extend(store([report(f"Number {number}", f"key {number}"), report("Alone")]))

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert sorted(title for title in titles().values() if title != "Alone") == sorted(f"Number {n}" for n in range(20))
    assert count(IdempotencyKey) == 20


def test_one_that_cannot_be_stored_takes_nobody_along(monkeypatch: pytest.MonkeyPatch):
    usual = tickets.create_each

    def picky(session: Any, source: str, submissions: Any) -> Any:
        submissions = list(submissions)
        if any(each.title == "Poison" for each, _ in submissions):
            raise IntegrityError("INSERT", {}, ValueError("it is poison"))
        return usual(session, source, submissions)

    monkeypatch.setattr(tickets, "create_each", picky)
    answers = accept_all(TicketWriter(), [report("One"), report("Poison", "key"), report("Two")])

    assert sorted(titles().values()) == ["One", "Two"]
    assert isinstance(answers[1], IntegrityError)
    assert count(IdempotencyKey) == 0, "a request that failed may come again"


def test_a_database_that_is_away_is_an_error_for_everybody_and_nothing_is_half_done(monkeypatch: pytest.MonkeyPatch):
    def gone(*_arguments: Any, **_options: Any) -> Any:
        raise OperationalError("INSERT", {}, ValueError("connection refused"))

    monkeypatch.setattr(group_commit.triage, "send_many", gone)
    answers = accept_all(TicketWriter(), [report("One"), report("Two")])

    assert all(isinstance(answer, SQLAlchemyError) for answer in answers)
    assert count(Ticket) == 0


def test_who_comes_when_the_line_is_long_is_turned_away_and_the_others_are_served(go_on: threading.Event):
    acceptor = TicketWriter(batch=1, writers=1, line=5)

    async def run() -> list[Any]:
        waiting = [asyncio.create_task(acceptor.accept(report(f"Number {n}"))) for n in range(5)]
        while acceptor.begun < 1:
            await asyncio.sleep(0)
        waiting += [asyncio.create_task(acceptor.accept(report(f"Number {n}"))) for n in range(5, 10)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(run())

    refused = [answer for answer in answers if isinstance(answer, TooMany)]
    assert len(refused) == 4
    assert count(Ticket) == 6


def test_while_somebody_has_waited_for_long_the_next_are_turned_away(
    monkeypatch: pytest.MonkeyPatch, go_on: threading.Event
):
    monkeypatch.setattr(group_commit, "LONGEST_WAIT", 0.0)
    acceptor = TicketWriter()

    async def run() -> tuple[int, int]:
        # the line is empty again at once, for the first one is being written
        first = asyncio.create_task(acceptor.accept(report("First")))
        while acceptor.begun < 1:
            await asyncio.sleep(0)
        with pytest.raises(TooMany):
            await acceptor.accept(report("Second"))
        go_on.set()
        return await first, await acceptor.accept(report("Third"))

    assert [titles()[answer] for answer in asyncio.run(run())] == ["First", "Third"]


def test_a_client_that_hangs_up_stops_nobody():
    acceptor = TicketWriter(batch=1, writers=1)

    async def run() -> int:
        first = asyncio.create_task(acceptor.accept(report("First")))
        gone = asyncio.create_task(acceptor.accept(report("Gone")))
        last = asyncio.create_task(acceptor.accept(report("Last")))
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
