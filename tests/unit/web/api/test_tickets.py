"""Tickets over the API: created, listed, changed, re-analyzed."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from aura.web import group_commit
from aura.web.app import make_app
from db import jobs, reading, tickets, transaction
from db.clients import key_digest
from db.models import Agent, AuditEntry, IdempotencyKey, Ticket
from tests.embedded import Hand, all_jobs, count, one_job
from tests.unit.web.clients import TICKET, create_key, local_client

SECRET = "hunter2-hunter2"


def one_ticket() -> Ticket:
    with reading() as session:
        return session.scalars(select(Ticket)).one()


def new_ticket(web: TestClient, title: str = "VPN drops", **fields: str) -> int:
    number: int = web.post("/api/v1/tickets", json={"title": title, **fields}).json()["id"]
    return number


def test_a_ticket_and_its_job_are_stored_before_the_answer(web: TestClient):
    answer = web.post("/tickets", json=TICKET | {"colour": "red"})

    ticket = one_ticket()
    assert answer.status_code == 202
    assert answer.json() == {"id": ticket.id, "url": f"/tickets/{ticket.id}"}
    assert answer.headers["Location"] == f"/tickets/{ticket.id}"
    assert (ticket.source, ticket.title, ticket.stage) == ("http", "VPN drops", "received")
    assert json.loads(ticket.raw)["colour"] == "red"
    assert (one_job().actor, one_job().key, one_job().next_steps) == ("intake", str(ticket.id), ["classify", "notify"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (
            {"subject": "VPN drops", "body": "Since noon", "email": "ada@example.com"},
            ["title", "description", "requester"],
        ),
        ({"title": "VPN drops", "body": "Since noon"}, ["description"]),
        ({"title": "", "summary": "VPN drops"}, ["title"]),
        ({"title": "VPN drops", "from": "ada@example.com"}, ["requester"]),
        ({"title": "VPN drops", "requestor": "ada@example.com"}, ["requester"]),
        ({"titel": "VPN drops", "Descripton": "x"}, ["title", "description"]),
    ],
)
def test_a_field_with_the_name_of_another_system_is_422_that_names_the_right_one(
    web: TestClient, body: dict[str, str], fields: list[str]
):
    for path in ("/tickets", "/api/v1/tickets"):
        answer = web.post(path, json=body)

        assert answer.status_code == 422
        assert [each["problem"].rpartition(" ")[2] for each in answer.json()["errors"]] == fields
    line = web.post("/api/v1/tickets/bulk", content=json.dumps(body)).text.splitlines()[0]
    assert json.loads(line)["status"] == 422
    assert count(Ticket) == 0


def test_a_further_field_beside_the_right_one_is_accepted(web: TestClient):
    for other in ({"subject": "x"}, {"summary": ""}, {"colour": "red"}, {"body": None}, {"department_id": 7}):
        assert web.post("/tickets", json=TICKET | other).status_code == 202


def a_ticket_without_a_job_is_never_stored(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(jobs, "enqueue", crash)
    assert web.post("/tickets", json=TICKET, headers={"Idempotency-Key": "k"}).status_code == 500
    assert (count(Ticket), count(IdempotencyKey)) == (0, 0)


def test_a_ticket_its_job_and_its_key_are_stored_in_one_transaction(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    a_ticket_without_a_job_is_never_stored(web, monkeypatch)


def test_with_two_transactions_a_crash_strands_the_ticket(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    # Mutant: what plain `commit(); actor.send()` does
    accept = tickets.create_once

    def accept_and_commit(session: Any, *args: Any) -> Any:
        new = accept(session, *args)
        session.connection().get_transaction().commit()
        return new

    monkeypatch.setattr(tickets, "create_once", accept_and_commit)
    with pytest.raises(AssertionError, match=r"\(1, "):
        a_ticket_without_a_job_is_never_stored(web, monkeypatch)


def test_the_same_external_id_with_the_same_body_is_the_same_ticket(web: TestClient):
    first, second = (web.post("/tickets", json=TICKET | {"external_id": "T-1"}) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert (count(Ticket), len(all_jobs())) == (1, 1)


def test_the_same_external_id_with_another_body_gets_409_that_names_ticket_and_fields(web: TestClient):
    number = web.post("/tickets", json=TICKET | {"external_id": "T-1"}).json()["id"]
    answer = web.post("/tickets", json=TICKET | {"external_id": "T-1", "title": "again"})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["ticket_id"], problem["differs"]) == (number, ["title"])
    assert f"ticket {number}" in problem["detail"]
    assert (count(Ticket), len(all_jobs())) == (1, 1)


def test_the_same_external_id_and_key_of_another_client_are_another_ticket(web: TestClient):
    numbers = set()
    for name in ("monitoring", "intranet"):
        headers = {"Authorization": f"Bearer {create_key('submit', 'read', name=name)}", "Idempotency-Key": "nightly"}
        for _ in range(2):
            answer = web.post("/tickets", json={"title": name, "external_id": "4711"}, headers=headers)
            assert answer.status_code == 202
        numbers.add(answer.json()["id"])
        shown = web.get(f"/api/v1/tickets/{answer.json()['id']}", headers=headers).json()
        assert (shown["title"], shown["external_id"]) == (name, "4711")

    assert len(numbers) == count(Ticket) == 2


def test_a_rotated_key_of_the_same_name_is_the_same_client(web: TestClient):
    secrets = [create_key("submit", name="monitoring") for _ in range(2)]
    answers = [
        web.post("/tickets", json=TICKET | {"external_id": "1"}, headers={"Authorization": f"Bearer {secret}"})
        for secret in secrets
    ]

    assert answers[0].json() == answers[1].json()
    assert count(Ticket) == 1


def test_an_external_id_cannot_name_another_client(web: TestClient):
    answer = web.post("/tickets", json=TICKET | {"external_id": "key intranet\x1f4711"})

    assert answer.status_code == 422
    assert "U+001F" in answer.text


def test_characters_that_no_database_stores_are_removed(web: TestClient):
    answer = web.post("/tickets", content=b'{"title": "VPN \\u0000\\ud800 drops", "x": ["\\ud800", 1e400]}')

    assert answer.status_code == 202
    assert one_ticket().title == "VPN  drops"
    assert json.loads(one_ticket().raw)["title"] == "VPN \0\ud800 drops"


def test_the_same_key_with_the_same_body_gets_the_same_answer(web: TestClient):
    answers = [web.post("/tickets", json=TICKET, headers={"Idempotency-Key": "k-1"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert (count(Ticket), len(all_jobs())) == (1, 1)


def test_the_same_key_with_another_body_gets_409_that_names_the_ticket(web: TestClient):
    number = web.post("/tickets", json=TICKET, headers={"Idempotency-Key": "k-1"}).json()["id"]
    answer = web.post("/tickets", json=TICKET | {"title": "another"}, headers={"Idempotency-Key": "k-1"})

    assert answer.status_code == 409
    assert f"ticket {number} with another body" in answer.json()["detail"]
    assert answer.json()["differs"] == ["title"]
    assert count(Ticket) == 1


@pytest.mark.integration
def test_a_key_that_another_process_holds_gets_409(postgres: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "LOCK_TIMEOUT", 0.1)
    web = local_client()
    with transaction() as session:
        session.add(IdempotencyKey(key=key_digest("key local", "k-1"), fingerprint="", ticket_id=0))
        session.flush()
        with ThreadPoolExecutor() as others:
            held = others.submit(web.post, "/tickets", json=TICKET, headers={"Idempotency-Key": "k-1"}).result(20)
            free = others.submit(web.post, "/tickets", json=TICKET, headers={"Idempotency-Key": "k-2"}).result(20)

    assert (held.status_code, held.headers["Retry-After"], free.status_code) == (409, "1", 202)
    assert count(Ticket) == 1


def test_a_refused_ticket_leaves_its_key_unused(web: TestClient):
    assert web.post("/tickets", json={}, headers={"Idempotency-Key": "k-1"}).status_code == 422
    assert web.post("/tickets", json=TICKET, headers={"Idempotency-Key": "k-1"}).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_1_to_255_characters(web: TestClient, key: str):
    answer = web.post("/tickets", json=TICKET, headers={"Idempotency-Key": key})

    assert answer.status_code == 422
    assert "kkk" not in answer.text
    assert count(Ticket) == 0


def test_concurrent_requests_with_one_key_are_one_ticket(web: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "LOCK_TIMEOUT", 60.0)
    clients = [local_client(make_app()) for _ in range(4)]  # four processes, made one after the other
    for key in ("a", "b", "c"):
        barrier, answers = threading.Barrier(4), []

        def post(mine: TestClient, key: str = key, barrier: Any = barrier, answers: Any = answers) -> None:
            barrier.wait(10)
            answers.append(mine.post("/tickets", json=TICKET, headers={"Idempotency-Key": key}))

        threads = [threading.Thread(target=post, args=[mine]) for mine in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [answer.status_code for answer in answers] == [202] * 4
        assert len({answer.text for answer in answers}) == 1

    assert (count(Ticket), len(all_jobs())) == (3, 3)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"{" + SECRET.encode()),
        (400, b'{"title": NaN}'),
        (400, b'{"title": "x", "n": -Infinity}'),
        (400, b"\xff\xfe" + SECRET.encode()),
        (400, b"[" * 15_000),  # nested too deeply
        (422, b"[" * 100_000),  # and more values than any ticket has
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
def test_an_invalid_ticket_is_refused_without_repeating_its_values(web: TestClient, status: int, body: bytes):
    answer = web.post("/tickets", content=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= answer.json().keys()
    assert SECRET not in answer.text
    assert count(Ticket) == 0


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["title", "description", "requester", "department", "priority", "external_id", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2),
    ).map(lambda payload: json.dumps(payload).encode())
)
@example(b'{"title": "x", "external_id": ' + b"9" * 4000 + b"}")
def test_no_body_is_a_server_error(web: TestClient, body: bytes):
    assert web.post("/tickets", content=body).status_code in (202, 400, 422)


def test_a_ticket_is_shown_with_its_timeline(web: TestClient, hand: Hand):
    url = web.post("/tickets", json=TICKET | {"description": "Since this morning"}).headers["Location"]
    before = web.get(url).json()
    assert [job["actor"] for job in before["jobs"]] == ["intake"]

    hand.run()

    after = web.get(url).json()
    assert (after["title"], after["stage"], after["category"], after["jobs"]) == (
        "VPN drops",
        "notified",
        "Network",
        [],
    )
    happened = after["timeline"]
    assert [each["at"] for each in happened] == sorted(each["at"] for each in happened)
    assert [each["actor"] for each in happened if each["kind"] == "attempt"][:3] == ["intake", "classify", "notify"]
    (verdict,) = [each for each in happened if each["kind"] == "verdict"]
    assert (verdict["category"], verdict["engine"]) == ("Network", "local")
    assert verdict["reason"]
    assert {each["state"] for each in happened if each["kind"] == "notification"} == {"sent"}


def test_pages_of_the_list_hold_each_ticket_once(web: TestClient):
    wanted = [new_ticket(web, f"Number {n}", department="A" if n % 2 else "B") for n in range(7)][1::2]
    for sort, order in (("id", wanted), ("-id", wanted[::-1]), ("-priority", wanted[::-1])):
        found, cursor = [], None
        while True:
            asked = {"department": "A", "sort": sort, "limit": 2} | ({"cursor": cursor} if cursor else {})
            page = web.get("/api/v1/tickets", params=asked).json()
            found += [ticket["id"] for ticket in page["tickets"]]
            if (cursor := page["next"]) is None:
                break
        assert found == order


def test_a_correction_is_in_the_audit_log(web: TestClient, hand: Hand):
    number = new_ticket(web)
    hand.run()

    assert web.patch(f"/api/v1/tickets/{number}", json={"category": "Security"}).json()["category"] == "Security"
    assert web.patch(f"/api/v1/tickets/{number}", json={"category": "Nonsense"}).status_code == 422
    with reading() as session:
        assert [(row.who, row.subject) for row in session.scalars(select(AuditEntry))] == [
            ("key local", f"ticket/{number}")
        ]


def test_status_assignee_and_comments_are_changed(web: TestClient):
    number = new_ticket(web)
    with transaction() as session:
        session.add(Agent(name="Grace Chen", email="grace@example.com", skills=[]))
    at = f"/api/v1/tickets/{number}"

    found = web.patch(at, json={"status": "pending", "assignee": "grace@example.com"}).json()
    assert (found["status"], found["assignee"]) == ("pending", "Grace Chen")
    assert web.patch(at, json={"assignee": None}).json()["assignee"] == ""
    assert web.post(f"{at}/comments", json={"text": "It works again"}).status_code == 201
    for wrong in ({}, {"assignee": "nobody"}, {"status": "flying"}, {"status": "open", "resolution": "x"}):
        assert web.patch(at, json=wrong).status_code == 422, wrong
    found = web.patch(at, json={"status": "resolved", "resolution": "A new cable"}).json()
    assert (found["status"], found["timeline"][-1]["text"]) == ("resolved", "pending -> resolved: A new cable")
    assert web.patch(at, json={"status": "pending"}).status_code == 422, "what is over is opened again first"
    assert web.post(f"{at}/comments", json={"text": ""}).status_code == 422
    assert web.post("/api/v1/tickets/999/comments", json={"text": "x"}).status_code == 404


def test_a_ticket_is_reanalyzed_with_an_empty_body(web: TestClient, hand: Hand):
    number = new_ticket(web)
    hand.run()

    answer = web.post(f"/api/v1/tickets/{number}/reanalyze")

    (job,) = all_jobs()
    assert (answer.status_code, answer.json()["job"]["id"], job.actor) == (202, job.id, "reanalyze")
    assert web.post("/api/v1/tickets/999/reanalyze").status_code == 404


def test_the_pipeline_runs_again_from_a_step(web: TestClient, hand: Hand):
    number = new_ticket(web)
    hand.run()

    assert web.post(f"/api/v1/tickets/{number}/rerun", json={"from": "classify"}).status_code == 202

    assert [(job.actor, job.next_steps) for job in all_jobs()] == [("classify", ["notify"])]


def test_a_long_poll_returns_the_verdict_or_the_current_ticket(web: TestClient, hand: Hand):
    number = new_ticket(web)
    assert web.get(f"/api/v1/tickets/{number}", params={"wait": 0.2}).json()["stage"] == "received"
    hand.run()
    assert web.get(f"/api/v1/tickets/{number}", params={"wait": 30}).json()["category"] == "Network"
