"""The API under /api/v1: what it answers to what is asked well, and to what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from aura.web.auth.identity import table
from db import reading, transaction
from db.audit import Actor, acting
from db.models import Agent, AuditEntry, Ticket
from tests.embedded import Hand, all_jobs, count, web_app

HOSTILE = [
    "\0",
    "' OR '1'='1",
    "<script>alert(1)</script>",
    "\u202e",
    "a" * 500,
    "%",
    "-1",
    "\U0001f4a9",
    "../../etc",
    "{}",
]


@pytest.fixture
def web(database: str) -> TestClient:
    return TestClient(web_app(), "http://127.0.0.1:8000", False, client=("127.0.0.1", 50000))


def report(web: TestClient, title: str = "VPN drops", **fields: str) -> int:
    number: int = web.post("/api/v1/tickets", json={"title": title, **fields}).json()["id"]
    return number


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_bulk_request_answers_each_line(web: TestClient):
    body = b'{"title": "One"}\n\nnonsense\n{"title": ""}\n{"title": "Two"}'

    *each, last = lines(web.post("/api/v1/tickets/bulk", content=body))

    assert [(line["line"], line.get("status")) for line in each] == [(1, None), (2, 400), (3, 422), (4, None)]
    assert last == {"done": True, "lines": 4, "accepted": 2}
    assert (count(Ticket), len(all_jobs())) == (2, 2)


def test_a_bulk_request_under_a_key_may_come_again(web: TestClient):
    body = b"".join(b'{"title": "Number %d"}\n' % number for number in range(450))
    first, again = (
        lines(web.post("/api/v1/tickets/bulk", content=body, headers={"Idempotency-Key": "k"})) for _ in range(2)
    )

    assert first == again
    assert count(Ticket) == 450


def test_tickets_are_listed_page_by_page_each_once(web: TestClient):
    wanted = [report(web, f"Number {n}", department="A" if n % 2 else "B") for n in range(7)][1::2]
    for sort, order in (("id", wanted), ("-id", wanted[::-1]), ("-priority", wanted[::-1])):
        found, cursor = [], None
        while True:
            asked = {"department": "A", "sort": sort, "limit": 2} | ({"cursor": cursor} if cursor else {})
            page = web.get("/api/v1/tickets", params=asked).json()
            found += [ticket["id"] for ticket in page["tickets"]]
            if (cursor := page["next"]) is None:
                break
        assert found == order


def test_a_person_corrects_a_ticket_and_the_audit_says_who(web: TestClient, hand: Hand):
    number = report(web)
    hand.run()

    assert web.patch(f"/api/v1/tickets/{number}", json={"category": "Security"}).json()["category"] == "Security"
    assert web.patch(f"/api/v1/tickets/{number}", json={"category": "Nonsense"}).status_code == 422
    with reading() as session:
        assert [(row.who, row.subject) for row in session.scalars(select(AuditEntry))] == [
            ("local", f"ticket/{number}")
        ]


def test_the_desk_moves_assigns_and_comments_by_the_api(web: TestClient):
    number = report(web)
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


def test_what_fails_leaves_no_row_in_the_audit(database: str):
    with pytest.raises(RuntimeError), acting(Actor("somebody"), "queue.pause", "queue/x"):
        raise RuntimeError("it fails")
    assert count(AuditEntry) == 0


def test_a_ticket_is_looked_at_again_with_an_empty_body(web: TestClient, hand: Hand):
    number = report(web)
    hand.run()

    answer = web.post(f"/api/v1/tickets/{number}/analyze")

    (job,) = all_jobs()
    assert (answer.status_code, answer.json()["job"]["id"], job.actor) == (202, job.id, "reanalyze")
    assert web.post("/api/v1/tickets/999/analyze").status_code == 404


def test_a_journey_runs_again_from_a_step(web: TestClient, hand: Hand):
    number = report(web)
    hand.run()

    assert web.post(f"/api/v1/tickets/{number}/replay", json={"from": "classify"}).status_code == 202

    assert [(job.actor, job.next_steps) for job in all_jobs()] == [("classify", ["notify"])]


def test_who_waits_gets_the_verdict_or_the_ticket_as_it_is(web: TestClient, hand: Hand):
    number = report(web)
    assert web.get(f"/api/v1/tickets/{number}", params={"wait": 0.2}).json()["stage"] == "received"
    hand.run()
    assert web.get(f"/api/v1/tickets/{number}", params={"wait": 30}).json()["category"] == "Network"


def test_queues_are_paused_limited_and_resumed(web: TestClient):
    said = web.post("/api/v1/queues/ai.classify/pause", json={"reason": "a test", "seconds": 60}).json()
    assert (said["paused"], said["reason"]) == (True, "a test")
    assert web.put("/api/v1/queues/ai.classify/limit", json={"jobs": 3}).json()["limit"] == 3
    assert web.post("/api/v1/queues/ai.classify/resume").json()["paused"] is False
    assert "did you mean ai.classify" in web.post("/api/v1/queues/ai.clasify/resume").json()["detail"]


@pytest.mark.slow
def test_no_hostile_word_in_any_place_is_an_error_of_ours(web: TestClient):
    with transaction() as session:
        session.add(Ticket(source="test", raw="{}", title="x"))
    broken = []
    for path, method, scope in table(web.app):  # type: ignore[arg-type]
        if scope is None or path.endswith(("/events", "/logout")):
            continue
        for word in HOSTILE:
            quoted = word.replace("%", "%25").replace("\0", "%00").replace("/", "%2F")
            url = "/".join(quoted if each.startswith("{") else each for each in path.split("/"))
            names = (
                "actor",
                "fingerprint",
                "status",
                "cursor",
                "after",
                "subject",
                "reason",
                "category",
                "args",
                "from",
            )
            bodies: list[dict[str, Any]] = [{"json": dict.fromkeys(names, word)}]
            bodies += [{"content": word.encode()}] if word in ("{}", "\0") and method != "GET" else []
            for body in bodies:
                answer = web.request(method, url[:4000], params=dict.fromkeys(names, word), **body)
                broken += [f"{method} {path} {word[:20]!r}"] if answer.status_code >= 500 else []
                kind = answer.headers["content-type"]
                page = kind.startswith("text/html") and not path.startswith("/api/")
                fine = answer.status_code < 400 or page or kind == "application/problem+json"
                broken += [] if fine else [f"{method} {path} {word[:20]!r}: no problem document"]
    assert not broken
