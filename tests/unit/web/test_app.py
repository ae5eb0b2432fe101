"""The HTTP API: 202 means stored and promised, and whatever else comes in gets an answer that says why."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select
from starlette.types import Message, Scope

from aura.web import body_limit, group_commit
from aura.web.app import make_app
from aura.web.body_limit import BODY_LIMIT, BodyLimit
from aura.web.group_commit import TicketWriter
from db import jobs, reading, tickets, transaction
from db.database import dispose
from db.models import IdempotencyKey, Job, Ticket
from tests.embedded import Hand, all_jobs, count, one_job, web_app
from tests.services import free_port


def client(app: FastAPI | None = None) -> TestClient:
    app = app or web_app()
    return TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False, client=("127.0.0.1", 50000))


@pytest.fixture
def web(database: str) -> TestClient:
    return client()


GOOD = {"title": "VPN drops", "requester": "ada@example.com"}


def one_ticket() -> Ticket:
    with reading() as session:
        return session.scalars(select(Ticket)).one()


# -- accepting --------------------------------------------------------------------------------------------------------


def test_a_ticket_is_stored_and_promised_before_it_is_answered(web: TestClient):
    answer = web.post("/tickets", json=GOOD | {"colour": "red"})

    ticket = one_ticket()
    assert answer.status_code == 202
    assert answer.json() == {"id": ticket.id, "url": f"/tickets/{ticket.id}"}
    assert answer.headers["Location"] == f"/tickets/{ticket.id}"
    assert (ticket.source, ticket.title, ticket.stage) == ("http", "VPN drops", "received")
    assert json.loads(ticket.raw)["colour"] == "red"
    assert (one_job().actor, one_job().key, one_job().next_steps) == ("intake", str(ticket.id), ["classify", "notify"])


def a_ticket_without_a_job_is_never_stored(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(jobs, "enqueue", crash)
    assert web.post("/tickets", json=GOOD, headers={"Idempotency-Key": "k"}).status_code == 500
    assert (count(Ticket), count(IdempotencyKey)) == (0, 0)


def test_the_ticket_its_job_and_its_key_are_one_transaction(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    a_ticket_without_a_job_is_never_stored(web, monkeypatch)


def test_in_two_transactions_a_crash_between_would_strand_the_ticket(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    # Mutant: what plain `commit(); actor.send()` does
    accept = tickets.create_each

    def accept_and_commit(session: Any, *args: Any) -> Any:
        new = accept(session, *args)
        session.connection().get_transaction().commit()
        return new

    monkeypatch.setattr(tickets, "create_each", accept_and_commit)
    with pytest.raises(AssertionError, match=r"\(1, "):
        a_ticket_without_a_job_is_never_stored(web, monkeypatch)


def test_the_same_external_id_is_the_same_ticket(web: TestClient):
    first = web.post("/tickets", json=GOOD | {"external_id": "T-1"})
    second = web.post("/tickets", json=GOOD | {"external_id": "T-1", "title": "again"})

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert (count(Ticket), len(all_jobs())) == (1, 1)


def test_text_that_no_database_stores_is_accepted_without_it(web: TestClient):
    answer = web.post("/tickets", content=b'{"title": "VPN \\u0000\\ud800 drops", "x": ["\\ud800", 1e400]}')

    assert answer.status_code == 202
    assert one_ticket().title == "VPN  drops"
    assert json.loads(one_ticket().raw)["title"] == "VPN \0\ud800 drops"


# -- Idempotency-Key --------------------------------------------------------------------------------------------------


def test_the_same_key_with_the_same_body_gets_the_same_answer(web: TestClient):
    answers = [web.post("/tickets", json=GOOD, headers={"Idempotency-Key": "k-1"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert (count(Ticket), len(all_jobs())) == (1, 1)


def test_the_same_key_with_another_body_is_refused(web: TestClient):
    web.post("/tickets", json=GOOD, headers={"Idempotency-Key": "k-1"})
    answer = web.post("/tickets", json=GOOD | {"title": "another"}, headers={"Idempotency-Key": "k-1"})

    assert answer.status_code == 422
    assert "came with another body before" in answer.json()["detail"]
    assert count(Ticket) == 1


@pytest.mark.integration
def test_a_key_that_another_process_holds_for_long_is_in_progress(postgres: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "PATIENCE", 0.1)
    web = client()
    with transaction() as session:
        session.add(IdempotencyKey(key="k-1", fingerprint="", ticket_id=0))
        session.flush()
        with ThreadPoolExecutor() as others:
            held = others.submit(web.post, "/tickets", json=GOOD, headers={"Idempotency-Key": "k-1"}).result(20)
            free = others.submit(web.post, "/tickets", json=GOOD, headers={"Idempotency-Key": "k-2"}).result(20)

    assert (held.status_code, held.headers["Retry-After"], free.status_code) == (409, "1", 202)
    assert count(Ticket) == 1


@pytest.mark.parametrize("entrance", ["/tickets", "/api/v1/tickets"])
def test_who_finds_the_line_full_is_told_when_to_come_again_and_nothing_is_read(web: TestClient, entrance: str):
    web.app.state.acceptor = TicketWriter(line=0)  # type: ignore[attr-defined]
    answer = web.post(entrance, json=GOOD, headers={"Idempotency-Key": "k-1"})
    unread = web.post(entrance, content=b"no JSON")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert (unread.status_code, "x-content-type-options" in unread.headers) == (503, True)
    assert (count(Ticket), count(IdempotencyKey)) == (0, 0)


def test_a_refused_ticket_leaves_its_key_unused(web: TestClient):
    assert web.post("/tickets", json={}, headers={"Idempotency-Key": "k-1"}).status_code == 422
    assert web.post("/tickets", json=GOOD, headers={"Idempotency-Key": "k-1"}).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_1_to_255_characters(web: TestClient, key: str):
    answer = web.post("/tickets", json=GOOD, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert "kkk" not in answer.text
    assert count(Ticket) == 0


def test_two_requests_at_once_with_one_key_are_one_ticket(web: TestClient):
    clients = [client(make_app()) for _ in range(4)]  # four processes, made one after the other
    for key in ("a", "b", "c"):
        barrier, answers = threading.Barrier(4), []

        def post(mine: TestClient, key: str = key, barrier: Any = barrier, answers: Any = answers) -> None:
            barrier.wait(10)
            answers.append(mine.post("/tickets", json=GOOD, headers={"Idempotency-Key": key}))

        threads = [threading.Thread(target=post, args=[mine]) for mine in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [answer.status_code for answer in answers] == [202] * 4
        assert len({answer.text for answer in answers}) == 1

    assert (count(Ticket), len(all_jobs())) == (3, 3)


# -- refusing ---------------------------------------------------------------------------------------------------------

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"{" + SECRET.encode()),
        (400, b'{"title": NaN}'),
        (400, b'{"title": "x", "n": -Infinity}'),
        (400, b"\xff\xfe" + SECRET.encode()),
        (400, b"[" * 100_000),
        (400, b'{"title": "x", "priority": ' + b"[" * 985 + b"]" * 985 + b"}"),
        (422, b"[]"),
        (422, b'"' + SECRET.encode() + b'"'),
        (422, b"null"),
        (422, b"{}"),
        (422, b'{"title": "  ", "description": null}'),
        (422, b'{"title": ["' + SECRET.encode() + b'"]}'),
        (422, b'{"title": "x", "priority": "' + SECRET.encode() + b'"}'),
        (422, b'{"title": "x", "external_id": {"a": "' + SECRET.encode() + b'"}}'),
        (422, b'{"title": "' + SECRET.encode() * 200 + b'"}'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_ticket_is_refused_and_never_repeated(web: TestClient, status: int, body: bytes):
    answer = web.post("/tickets", content=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= answer.json().keys()
    assert SECRET not in answer.text
    assert count(Ticket) == 0


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["title", "description", "requester", "department", "priority", "external_id", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2),
    ).map(lambda payload: json.dumps(payload).encode())
)
@example(b'{"title": "x", "external_id": ' + b"9" * 4000 + b"}")
def test_no_body_is_an_error_of_ours(web: TestClient, body: bytes):
    assert web.post("/tickets", content=body).status_code in (202, 400, 422)


def chunks(size: int) -> Iterator[bytes]:
    """A body that announces no length."""
    yield b'{"title": "x", "pad": "'
    for _ in range(size // 10_000):
        yield b"x" * 10_000
    yield b'"}'


def test_a_body_over_a_megabyte_is_refused_announced_or_not(web: TestClient):
    for body in (b"x" * (BODY_LIMIT + 1), chunks(BODY_LIMIT)):
        answer = web.post("/tickets", content=body)
        assert answer.status_code == 413
        assert answer.json()["detail"] == f"a request may have {BODY_LIMIT} bytes"

    assert count(Ticket) == 0


def test_a_body_that_does_not_arrive_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.01)
    said: list[Message] = []

    async def receive() -> Message:
        if not said:
            await asyncio.Event().wait()
        raise AssertionError("it is read on")

    async def send(message: Message) -> None:
        said.append(message)

    async def never(*_asked: Any) -> None:
        raise AssertionError("a request without its body went on")

    scope: Scope = {"type": "http", "method": "POST", "path": "/tickets", "query_string": b"", "headers": []}
    asyncio.run(asyncio.wait_for(BodyLimit(never)(scope, receive, send), 10))
    assert said[0]["status"] == 408


def test_a_body_just_under_the_limit_is_accepted_announced_or_not(web: TestClient):
    frame = len(json.dumps({"title": "x", "pad": ""}))
    announced = json.dumps({"title": "x", "pad": "x" * (BODY_LIMIT - frame)}).encode()
    assert len(announced) == BODY_LIMIT

    assert web.post("/tickets", content=announced).status_code == 202
    assert web.post("/tickets", content=chunks(BODY_LIMIT - 100_000)).status_code == 202


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tickets/999", 404),
        ("/tickets/0", 404),
        ("/tickets/-1", 404),
        (f"/tickets/{2**63}", 404),
        ("/tickets/1' OR '1'='1", 422),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_is_a_problem_too(web: TestClient, path: str, status: int):
    answer = web.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "OR" not in answer.text


def test_a_method_that_is_not_allowed_says_which_is(web: TestClient):
    answer = web.put("/tickets/new", json=GOOD)

    assert answer.status_code == 405
    assert answer.headers["allow"] in ("GET", "POST")  # the first route of a path that two have


def test_a_database_that_is_away_is_no_accepted_ticket(configure: Any):
    configure(DATABASE_URL=f"postgresql://nobody:{SECRET}@127.0.0.1:{free_port()}/aura")
    try:
        answer = client().post("/tickets", json=GOOD)
        ready = client().get("/health/ready")
    finally:
        dispose()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "the database is away; nothing was accepted, so send it again"
    assert ready.status_code == 503
    assert SECRET not in answer.text + ready.text


# -- reading ----------------------------------------------------------------------------------------------------------


def test_a_ticket_is_shown_with_its_whole_timeline(web: TestClient, hand: Hand):
    url = web.post("/tickets", json=GOOD | {"description": "Since this morning"}).headers["Location"]
    before = web.get(url).json()
    assert [job["actor"] for job in before["waiting"]] == ["intake"]

    hand.run()

    after = web.get(url).json()
    assert (after["title"], after["stage"], after["category"], after["waiting"]) == (
        "VPN drops",
        "notified",
        "Network",
        [],
    )
    happened = after["timeline"]
    assert [each["at"] for each in happened] == sorted(each["at"] for each in happened)
    assert [each["actor"] for each in happened if each["what"] == "attempt"][:3] == ["intake", "classify", "notify"]
    (verdict,) = [each for each in happened if each["what"] == "verdict"]
    assert (verdict["category"], verdict["engine"]) == ("Network", "local")
    assert verdict["reason"]
    assert {each["state"] for each in happened if each["what"] == "notification"} == {"sent"}


def test_the_process_is_alive_whatever_the_database_does(configure: Any):
    configure(DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/aura")

    assert client().get("/health/live").json() == {"status": "alive"}


def test_it_is_ready_when_the_tables_are_there(web: TestClient):
    answer = web.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_it_is_not_ready_before_the_database_is_migrated(database_url: str, configure: Any):
    configure(DATABASE_URL=database_url)
    try:
        answer = client().get("/health/ready")
    finally:
        dispose()

    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert "revision none" in answer.json()["database"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_asking_whether_it_is_ready_waits_for_no_writer(web: TestClient):
    with transaction() as session:
        session.add(IdempotencyKey(key="k", fingerprint="", ticket_id=1))
        session.flush()
        assert web.get("/health/ready").status_code == 200


def test_metrics_are_what_prometheus_reads(web: TestClient, hand: Hand):
    web.post("/tickets", json=GOOD)
    hand.run()
    web.post("/tickets", json=GOOD)

    answer = web.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {(s.labels["stage"], s.value) for s in families["aura_tickets"].samples if s.value} == {("received", 1)}
    due = {(s.labels["actor"], s.labels["state"]) for s in families["aura_jobs"].samples if s.value}
    assert due == {("intake", "due")}
    assert families["aura_database_up"].samples[0].value == 1
    assert families["aura_dead_letters"].samples[0].value == 0
    assert any(s.labels.get("outcome") == "completed" for s in families["aura_attempts"].samples)
    assert count(Job) == 1


def test_the_api_describes_itself(web: TestClient):
    described = web.get("/openapi.json").json()

    assert {"/tickets", "/tickets/{ticket_id}", "/health/live", "/health/ready", "/metrics"} <= described[
        "paths"
    ].keys()
    assert "requestBody" in described["paths"]["/tickets"]["post"]
