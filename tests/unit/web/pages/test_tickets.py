"""Pages of tickets: the form, corrections, actions."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from db import reading, transaction
from db.models import Agent, AuditEntry, Comment, Ticket
from tests.commands import Run
from tests.embedded import Hand, count, one_job
from tests.unit.web.clients import HOSTILE, create_ticket, stored_ticket, submit


def test_a_program_gets_json_where_a_browser_gets_a_page(browser: TestClient):
    number = create_ticket()

    assert browser.get(f"/tickets/{number}", headers={"Accept": "*/*"}).json()["id"] == number
    assert "Timeline</h2>" in browser.get(f"/tickets/{number}").text
    assert browser.get("/tickets/999").status_code == 404


def test_a_page_shows_the_forwarder_of_a_mail_and_why_no_reply_is_sent(browser: TestClient):
    number = create_ticket(requester="carl@example.com")
    with transaction() as session:
        found = session.get(Ticket, number)
        assert found is not None
        found.requester_name, found.forwarded_by = "<b>Carl</b> Jones", "grace@example.com"
        found.no_auto_reply = "Precedence: list"

    text = browser.get(f"/tickets/{number}").text

    assert "&lt;b&gt;Carl&lt;/b&gt; Jones</bdi> &lt;<bdi>carl@example.com</bdi>&gt;" in text
    assert "forwarded by <bdi>grace@example.com</bdi>" in text
    assert "No automatic answers to the requester: <bdi>Precedence: list</bdi>" in text
    details = browser.get(f"/api/v1/tickets/{number}").json()
    assert (details["forwarded_by"], details["no_auto_reply"]) == ("grace@example.com", "Precedence: list")


@pytest.mark.parametrize("verified", [None, True, False])
def test_page_api_and_command_line_show_that_a_sender_is_not_verified(
    browser: TestClient, run: Run, verified: bool | None
):
    number = create_ticket(requester="ada@example.com")
    with transaction() as session:
        found = session.get(Ticket, number)
        assert found is not None
        found.sender_verified = verified
        session.add(Comment(ticket_id=number, author="bob", text="Hi", source="mail", sender_verified=verified))

    page, details = browser.get(f"/tickets/{number}").text, browser.get(f"/api/v1/tickets/{number}").json()
    [comment] = [each for each in details["timeline"] if each["kind"] == "comment"]
    shown = run("tickets", "show", str(number)).out

    assert (page.count("Sender not verified"), shown.count("Sender not verified")) == (
        (2, 2) if verified is False else (0, 0)
    )
    assert (details["sender_verified"], comment["sender_verified"]) == (verified, verified)
    assert browser.get("/api/v1/tickets").json()["tickets"][0]["sender_verified"] is verified


def test_a_ticket_is_created_by_the_form(browser: TestClient):
    message = submit(
        browser,
        "/tickets/new",
        title="VPN drops",
        description="since noon",
        requester="ada@example.com",
        priority="high",
    )

    with reading() as session:
        found = session.scalars(select(Ticket)).one()
    assert message == "Ticket created."
    assert (found.source, found.title, found.claimed_priority) == ("web", "VPN drops", "high")
    assert one_job().actor == "intake"


def test_an_invalid_form_is_shown_again_with_its_values(browser: TestClient):
    answer = browser.post("/tickets/new", data={"title": " ", "requester": "still here"})

    assert answer.status_code == 422
    assert "title" in answer.text and "still here" in answer.text
    assert count(Ticket) == 0


def test_a_ticket_is_corrected_resolved_and_run_again(browser: TestClient, hand: Hand):
    number = create_ticket()
    hand.run()

    assert submit(browser, f"/tickets/{number}/correct", category="Network") == "Changed: category."
    assert "Confirmed." in submit(browser, f"/tickets/{number}/correct", category="Network")
    hand.run()
    assert submit(browser, f"/tickets/{number}/rerun", step="classify") == "Enqueued again from classify."
    assert (one_job().actor, one_job().next_steps) == ("classify", ["notify"])
    hand.run()
    assert "Resolved." in submit(browser, f"/tickets/{number}/resolve", resolution="Restarted it")

    found = stored_ticket(number)
    assert (found.category, found.category_by, found.status) == ("Network", "human", "resolved")
    assert browser.post(f"/tickets/{number}/correct", data={"category": "Gardening"}).status_code == 422
    assert browser.post(f"/tickets/{number}/rerun", data={"step": "fly"}).status_code == 422
    assert browser.post("/tickets/999/rerun", data={"step": "classify"}).status_code == 404


def test_a_ticket_is_moved_assigned_and_commented_on(browser: TestClient):
    number = create_ticket()
    with transaction() as session:
        session.add(Agent(name=HOSTILE, email="grace@example.com", skills=[]))

    assert submit(browser, f"/tickets/{number}/status", status="in_progress") == "Status: open → in progress."
    assert "Assigned to" in submit(browser, f"/tickets/{number}/assign", agent="grace@example.com")
    assert "Internal note added." in submit(browser, f"/tickets/{number}/comment", text=HOSTILE)
    assert (stored_ticket(number).status, stored_ticket(number).assignee) == ("in_progress", HOSTILE)
    assert submit(browser, f"/tickets/{number}/assign", agent="") == "Unassigned."
    page = browser.get(f"/tickets/{number}").text
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    for what, fields in {
        "status": {"status": "fly"},
        "assign": {"agent": "nobody I know"},
        "comment": {"text": " "},
    }.items():
        assert browser.post(f"/tickets/{number}/{what}", data=fields).status_code == 422
        assert browser.post(f"/tickets/999/{what}", data={**fields, "status": "closed", "text": "x"}).status_code in (
            404,
            422,
        )
    with reading() as session:
        done = session.execute(
            select(AuditEntry.who, AuditEntry.action, AuditEntry.details).order_by(AuditEntry.id)
        ).all()
    assert [(row.who, row.action) for row in done] == [
        ("key local", "ticket.status"), ("key local", "ticket.assign"), ("key local", "ticket.comment"),
        ("key local", "ticket.assign"),
    ]  # fmt: skip
    assert HOSTILE not in str([row.details for row in done])


def test_a_filter_by_a_value_that_does_not_exist_is_an_error_on_the_page(browser: TestClient):
    create_ticket(category="Fax")

    for query, message in (
        ("status:opne", "did you mean open?"),
        ("category:Netwrok", "category: must be one of"),
        ("priority:urgent", "must be one of low, medium, high, critical"),
    ):
        page = browser.get("/tickets", params={"q": query})
        assert page.status_code == 422
        assert message in page.text and "No ticket " not in page.text
    wrong = browser.get("/tickets", params={"status": "opne"})
    assert (wrong.status_code, "did you mean open?" in wrong.text) == (422, True)
    assert "No ticket " not in browser.get("/tickets", params={"status": "open", "category": "fax"}).text
    assert browser.get("/tickets", params={"q": "category:fax"}).status_code == 200, "a ticket has it"
    assert browser.get("/tickets", params={"q": "category:network"}).status_code == 200
    jobs = browser.get("/jobs", params={"actor": "clasify"})
    assert (jobs.status_code, "did you mean classify?" in jobs.text) == (422, True)
