"""The pages: each is there with nothing and with everything in the tables, escapes what people typed, and does as told."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from aura.jobs.attempt import WORKER_ID
from db import dead_letters, jobs, queue_controls, reading, schedule_runs, transaction, workers
from db.jobs import Failure, NewJob
from db.models import Agent, AuditEntry, Correction, DeadLetter, Incident, Ticket
from db.new_tickets import NewTicket
from db.tickets import create
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, count, letters, one_job, promise, web_app

PAGES = (
    "/",
    "/tickets",
    "/tickets/new",
    "/review",
    "/jobs",
    "/queues",
    "/dead",
    "/schedules",
    "/workers",
    "/ai",
    "/incidents",
    "/audit",
)
#: What each page says when there is nothing to show; the others always have something.
EMPTY = {
    "/": "Send example tickets",
    "/tickets": "Send example tickets",
    "/tickets/new": "In a few words",
    "/review": "When one is not, it comes here by itself",
    "/jobs": "Nothing waits",
    "/dead": "Nothing was given up",
    "/workers": "aura run",
    "/incidents": "No burst",
    "/audit": "Nobody has done anything yet",
}
#: What must never stand in a page as it was typed.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*191}}\u202e\u2066"
BROWSER = {"Accept": "text/html"}


class Loose(HTMLParser):
    """Collects the words that turn the direction of writing, and stand neither in <bdi> nor where no markup can."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("bdi", "title", "option", "textarea"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if "\u202e" in data and not self.inside:
            self.found.append(data.strip()[:60])


@pytest.fixture
def web(database: str) -> TestClient:
    return TestClient(
        web_app(), "http://127.0.0.1:8000", False, client=("127.0.0.1", 50000), headers=BROWSER, follow_redirects=False
    )


def ticket(**fields: Any) -> int:
    with transaction() as session:
        report = NewTicket(title=HOSTILE, description=HOSTILE, requester="ada@example.com")
        [ticket_id] = create(session, "test", [(report, {})])
        if fields:
            session.execute(update(Ticket).where(Ticket.id == ticket_id).values(**fields))
        triage.send(ticket_id)
    return ticket_id


def stored(ticket_id: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, ticket_id)


def bury(error: str = HOSTILE) -> int:
    promise(NewJob("classify", "17"))
    with transaction() as session:
        found = jobs.claim(session, "classify", [all_jobs()[-1].id], "lease", WORKER_ID)
        jobs.dead_letter(session, [(each, Failure("Boom", error, error, "f" * 12)) for each in found])
    return letters()[-1].id


def post(web: TestClient, path: str, **fields: str) -> str:
    """Send a form; return what the page says that was done."""
    answer = web.post(path, data=fields)
    assert answer.status_code == 303, answer.text
    page = web.get(answer.headers["Location"])
    assert page.status_code == 200
    said = re.search(r'<p class="notice good" role="status"><bdi>(.*?)</bdi>', page.text)
    assert said is not None
    return said[1]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_with_nothing_in_it_says_what_to_do(web: TestClient, path: str):
    answer = web.get(path)
    words = EMPTY.get(path, "<table")

    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert answer.text.count("<h1") == 1
    assert 'aria-current="page"' in answer.text
    assert words in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_htmx_gets_the_content_alone(web: TestClient, path: str):
    answer = web.get(path, headers={"HX-Request": "true"})

    assert answer.text.lstrip().startswith("<main")
    assert answer.headers["Vary"] == "HX-Request"


def test_no_page_shows_what_somebody_typed_as_markup(web: TestClient, hand: Hand):
    # Given hostile words in every place that people and machines can write to
    done, waits = ticket(), ticket()
    hand.run()
    letter = bury()
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == done).values(needs_review=True, assignee=HOSTILE))
        queue_controls.pause(session, "ai.classify", None, HOSTILE)
        schedule_runs.pause(session, "retention", True, HOSTILE)
        workers.beat(session, "w" * 32, HOSTILE[:200])
        session.add(Incident(title=HOSTILE, category="Network"))
        session.add(
            Correction(
                ticket_id=done,
                field="category",
                old="Other",
                old_by="engine",
                new=HOSTILE[:60],
                engine="e",
                confidence=0.5,
                author=HOSTILE,
            )
        )
        dead_letters.record_message(session, "ai.classify", HOSTILE.encode(), ValueError(HOSTILE))

    pages = [
        *PAGES,
        f"/tickets/{done}",
        f"/tickets/{waits}",
        f"/dead/{letter}",
        f"/dead/{letter + 1}",
        "/dead?fingerprint=" + "f" * 12,
    ]
    pages += [f"/?done={HOSTILE}", f"/tickets?q={HOSTILE}", f"/tickets?q={HOSTILE[:20]}", "/ai/reliability.svg"]
    shown = {path: web.get(path).text for path in pages}

    for path, text in shown.items():
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert "{{7*191}}" in text or "1337" not in text, path
    assert sum("&lt;script&gt;" in text for text in shown.values()) >= 10
    assert {path: found for path, text in shown.items() if (found := Loose(text).found)} == {}


def test_no_cell_of_the_csv_is_a_formula(web: TestClient):
    formulas = [f"{begins}cmd|' /C calc'!A0" for begins in ("=", "+", "-", "@", "  =", "\t=", "＝")]
    numbers = [ticket(assignee=formula, department='a "quoted", two-line\nroom') for formula in formulas]
    ticket(status="closed")
    answer = web.get("/tickets.csv", params={"q": "is:open"})

    assert answer.headers["Content-Disposition"] == 'attachment; filename="tickets.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert [(row["id"], row["assignee"]) for row in reversed(rows)] == [
        (str(number), f"'{formula}") for number, formula in zip(numbers, formulas, strict=True)
    ]
    assert {(row["department"], row["title"]) for row in rows} == {('a "quoted", two-line\nroom', HOSTILE)}
    assert web.get("/tickets.csv?q=nope:x").status_code == 422


def test_a_program_gets_json_where_a_browser_gets_a_page(web: TestClient):
    number = ticket()

    assert web.get(f"/tickets/{number}", headers={"Accept": "*/*"}).json()["id"] == number
    assert "The whole story" in web.get(f"/tickets/{number}").text
    assert web.get("/tickets/999").status_code == 404


def test_a_ticket_is_reported_by_the_form(web: TestClient):
    said = post(
        web, "/tickets/new", title="VPN drops", description="since noon", requester="ada@example.com", priority="high"
    )

    with reading() as session:
        found = session.scalars(select(Ticket)).one()
    assert "reported" in said
    assert (found.source, found.title, found.claimed_priority) == ("web", "VPN drops", "high")
    assert one_job().actor == "intake"


def test_a_form_that_is_wrong_says_what(web: TestClient):
    answer = web.post("/tickets/new", data={"title": " ", "requester": "still here"})

    assert answer.status_code == 422
    assert "title" in answer.text and "still here" in answer.text
    assert count(Ticket) == 0


def test_a_ticket_is_corrected_resolved_and_run_again(web: TestClient, hand: Hand):
    number = ticket()
    hand.run()

    assert "category" in post(web, f"/tickets/{number}/correct", category="Network")
    assert "confirmed" in post(web, f"/tickets/{number}/correct", category="Network")
    hand.run()
    assert "promised again from classify on" in post(web, f"/tickets/{number}/again", step="classify")
    assert (one_job().actor, one_job().next_steps) == ("classify", ["notify"])
    hand.run()
    assert "resolved" in post(web, f"/tickets/{number}/resolve", resolution="Restarted it")

    found = stored(number)
    assert (found.category, found.category_by, found.status) == ("Network", "human", "resolved")
    assert web.post(f"/tickets/{number}/correct", data={"category": "Gardening"}).status_code == 422
    assert web.post(f"/tickets/{number}/again", data={"step": "fly"}).status_code == 422
    assert web.post("/tickets/999/again", data={"step": "classify"}).status_code == 404


def test_the_desk_moves_assigns_and_comments_a_ticket(web: TestClient):
    number = ticket()
    with transaction() as session:
        session.add(Agent(name=HOSTILE, email="grace@example.com", skills=[]))

    assert "in progress now" in post(web, f"/tickets/{number}/status", status="in_progress")
    assert "has it now" in post(web, f"/tickets/{number}/assign", agent="grace@example.com")
    assert "your comment" in post(web, f"/tickets/{number}/comment", text=HOSTILE)
    assert (stored(number).status, stored(number).assignee) == ("in_progress", HOSTILE)
    assert post(web, f"/tickets/{number}/assign", agent="") == "nobody has it now"
    page = web.get(f"/tickets/{number}").text
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    for what, fields in {
        "status": {"status": "fly"},
        "assign": {"agent": "nobody I know"},
        "comment": {"text": " "},
    }.items():
        assert web.post(f"/tickets/{number}/{what}", data=fields).status_code == 422
        assert web.post(f"/tickets/999/{what}", data={**fields, "status": "closed", "text": "x"}).status_code in (
            404,
            422,
        )
    with reading() as session:
        done = session.execute(
            select(AuditEntry.who, AuditEntry.action, AuditEntry.details).order_by(AuditEntry.id)
        ).all()
    assert [(row.who, row.action) for row in done] == [
        ("local", "ticket.status"), ("local", "ticket.assign"), ("local", "ticket.comment"), ("local", "ticket.assign"),
    ]  # fmt: skip
    assert HOSTILE not in str([row.details for row in done])


@pytest.mark.parametrize(
    ("path", "status", "says"), [("/nowhere", 404, "Not there"), ("/tickets/x", 422, "That does not fit")]
)
def test_an_error_is_a_page_to_a_person_and_a_problem_to_a_program(web: TestClient, path: str, status: int, says: str):
    page, problem = (
        web.get(path, headers={"Referer": "http://127.0.0.1:8000/jobs?state=due"}),
        web.get(path, headers={"Accept": "*/*"}),
    )

    assert page.status_code == problem.status_code == status
    assert f"<h1>{says}</h1>" in page.text and 'href="/jobs?state=due"' in page.text
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert web.get("/api/v1/tickets/999").json()["status"] == 404, "an API answers programs, whoever asks"


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("", {}, Exception("gone")), 503), (ZeroDivisionError(), 500)]
)
def test_what_breaks_is_said_and_hides_what_it_was(
    web: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
):
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(queue_controls, "list_jobs", broken)
    page, problem = web.get("/jobs"), web.get("/api/v1/jobs")

    assert page.status_code == problem.status_code == status
    assert "<nav" in page.text and "gone" not in page.text and "ZeroDivision" not in page.text
    assert problem.json()["status"] == status
    for answer in (page, problem):
        assert "frame-ancestors" in answer.headers["Content-Security-Policy"]


def test_a_review_goes_on_to_the_next_one(web: TestClient, hand: Hand):
    numbers = [ticket(), ticket()]
    hand.run()
    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=True))

    first = next(n for n in numbers if f"/review/{n}" in web.get("/review").text)
    post(web, f"/review/{first}", category="Security")

    assert stored(first).category_by == "human"
    assert f"/review/{(set(numbers) - {first}).pop()}" in web.get("/review").text
    assert "/review/" not in web.get("/review?skip=1").text


def test_a_queue_is_paused_limited_and_resumed(web: TestClient):
    assert (
        post(web, "/queues/ai.classify/pause", amount="2", unit="hours", reason="the provider moves")
        == "ai.classify is paused"
    )
    assert "the provider moves" in web.get("/queues").text
    assert post(web, "/queues/ai.classify/resume") == "ai.classify goes on"
    assert post(web, "/queues/ai.classify/limit", limit="4") == "ai.classify: at most 4 at once"
    with reading() as session:
        held = queue_controls.current(session)["ai.classify"]
    assert (held.paused, held.limit) == (False, 4)
    for path, fields in {
        "/queues/nope/pause": {},
        "/queues/nope/limit": {"limit": "1"},
        "/queues/nope/resume": {},
    }.items():
        assert web.post(path, data=fields).status_code == 404
    assert web.post("/queues/ai.classify/limit", data={"limit": "0"}).status_code == 422
    assert web.post("/queues/ai.classify/pause", data={"amount": "9999999"}).status_code == 422


def test_a_job_tells_why_it_waits_and_is_cancelled(web: TestClient):
    promise(NewJob("classify", "17"))
    number = one_job().id

    assert "No relay lives" in web.get(f"/jobs/{number}").text
    assert web.post(f"/jobs/{number}/cancel", data={"reason": " "}).status_code == 422
    assert "is cancelled" in post(web, f"/jobs/{number}/cancel", reason="a test")
    assert all_jobs() == []
    assert web.post(f"/jobs/{number}/cancel", data={"reason": "again"}).status_code == 404
    assert web.get("/jobs?state=flying").status_code == 422


def test_dead_letters_are_replayed_one_then_all_or_discarded(web: TestClient):
    first, second, third = bury("a"), bury("b"), bury("c")

    assert "is due again" in post(web, f"/dead/{first}/replay", args='["other"]')
    assert one_job().args == ["other"]
    assert web.post(f"/dead/{first}/replay", data={}).status_code == 404
    assert web.post(f"/dead/{second}/replay", data={"args": "{}"}).status_code == 422
    assert post(web, f"/dead/{third}/discard", reason="spam") == f"dead letter {third} is discarded"
    assert post(web, "/dead", fingerprint="f" * 12, what="replay", limit="10") == "1 are due again"
    assert web.post("/dead", data={"what": "replay"}).status_code == 422
    with reading() as session:
        states = dict(session.execute(select(DeadLetter.id, DeadLetter.state)).all())
    assert states == {first: "replayed", second: "replayed", third: "discarded"}


def test_a_schedule_is_run_paused_and_resumed(web: TestClient):
    assert post(web, "/schedules/samples/run").startswith("samples: ")
    assert post(web, "/schedules/samples/pause", reason="quiet") == "samples is paused"
    assert "quiet" in web.get("/schedules").text
    assert post(web, "/schedules/samples/resume").startswith("samples runs again")
    assert post(web, "/schedules/samples/backfill") == "samples: 0 missed slots were run"
    assert web.post("/schedules/nope/run", data={}).status_code == 404
    assert web.post("/schedules/samples/explode", data={}).status_code == 404


def test_charts_have_the_points_that_the_clock_wrote(web: TestClient):
    post(web, "/schedules/samples/run")

    found = web.get("/charts/tickets.json").json()
    assert [len(each["values"]) for each in found["series"]] == [len(found["at"])] * 3 == [1, 1, 1]
    assert web.get("/charts/nope.json").status_code == 404
    assert web.get("/charts/tickets.json?hours=1e9").status_code == 404


def test_a_model_is_replayed_and_chosen(web: TestClient, hand: Hand):
    number = ticket()
    hand.run()
    assert "Nobody has decided a ticket yet" in web.post("/ai/replay", data={"version": "shipped"}).text
    post(web, f"/tickets/{number}/correct", category="Network", priority="low")

    assert "1 tickets that people decided" in web.post("/ai/replay", data={"version": "shipped"}).text
    assert web.get("/ai/reliability.svg").text.startswith("<svg")
    judged = web.get("/api/v1/evaluation").json()
    assert {label: each["tickets"] for label, each in judged.items()} == {"category": 1, "priority": 1}
    assert "answers with shipped" in post(web, "/ai/use", version="shipped")
    assert web.post("/ai/use", data={"version": "local-nope"}).status_code == 404
    assert web.post("/ai/replay", data={"version": "gpt-9"}).status_code == 422


def test_an_incident_is_dismissed_once(web: TestClient):
    with transaction() as session:
        session.add(Incident(title="VPN", category="Network"))

    assert "dismissed" in post(web, "/incidents/1/dismiss")
    assert web.post("/incidents/1/accept", data={}).status_code == 404
    assert web.post("/incidents/1/explode", data={}).status_code == 404


@pytest.mark.parametrize(
    "body", [b"\xff\xfe=1", b"&".join(b"a%d=1" % n for n in range(60))], ids=["not UTF-8", "too many"]
)
def test_what_is_no_form_is_refused(web: TestClient, body: bytes):
    answer = web.post("/tickets/new", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 422


def test_what_a_page_needs_is_served_from_here(web: TestClient):
    text = web.get("/").text

    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert web.get(address).status_code == 200, address
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert "style=" not in text and "onclick" not in text and "<style" not in text
