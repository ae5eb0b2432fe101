"""Internal notes and resolutions stay at the desk: one test for each way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from actors import analysis, notification_settings
from actors.events import event_job, parse_arguments
from aura.desk.participants import add_participant
from aura.desk.ticket_actions import NotAllowed, comment, reopen, resolve
from aura.mail import ingest_mail
from aura.notifications import PUBLIC_REPLY
from db import changes, inbound_mails, jobs, reading, tickets, transaction
from db.models import Agent, Comment, Endpoint, Notification, Ticket
from db.new_tickets import NewTicket
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs
from tests.unit.actors.helpers import digest_in_two_hours, end_delays, save_preference, subscribe
from tests.unit.mail.helpers import answering
from tests.unit.web.clients import create_key, local_client, submit

pytestmark = pytest.mark.usefixtures("database")

SECRET = "troublemaker"
OUTSIDE = "auditor@elsewhere.example"
API = "/api/v1/tickets"


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, dict[str, Any]]]:
    """The recorded outbox events, as (event, ticket, data)."""
    events: list[tuple[str, int, dict[str, Any]]] = []
    monkeypatch.setattr("db.outbox.record", lambda _session, rows: events.extend(rows))
    return events


@pytest.fixture
def ticket(hand: Hand, happened: list[Any], configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """A ticket with an agent, a person in Cc, and subscribers within and outside the desk."""
    configure(AURA_NOTIFY_CC="on")
    monkeypatch.setattr(notification_settings, "cached_settings", notification_settings.load_settings)
    with transaction() as session:
        session.add(Agent(name="Ann Lee", email="ann@example.com", skills=[]))
        session.add(Agent(name="Ben", email="ben@example.com", skills=[]))
        session.add(Endpoint(name="crm", channel="webhook", url="https://crm.elsewhere.example/"))
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester="ada@example.com"), {})])
        session.execute(update(Ticket).where(Ticket.id == number).values(assignee="Ann Lee"))
        triage.send(number)
    hand.run()
    add_participant(number, "carl@example.com", "nora")
    for recipient, channel in (
        (OUTSIDE, "email"),
        ("ben@example.com", "email"),
        ("lead", "in_app"),
        ("crm", "webhook"),
    ):
        subscribe(recipient, channel)
    return number


def written() -> dict[str, list[Notification]]:
    with reading() as session:
        found = select(Notification).where(Notification.event != "ticket.classified").order_by(Notification.event)
        rows = session.scalars(found).all()
    return {each.recipient: [row for row in rows if row.recipient == each.recipient] for each in rows}


def has_secret(notification: Notification) -> bool:
    return SECRET in json.dumps([notification.subject, notification.body, notification.data])


ACTIONS: dict[str, Callable[[int], Any]] = {
    "comment": lambda number: comment(number, "nora", f"A known {SECRET}"),
    "resolution": lambda number: resolve(number, f"A known {SECRET}", "nora"),
    "reason to reopen": lambda number: (resolve(number, "", "nora"), reopen(number, "nora", f"A known {SECRET}")),
}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_an_internal_text_reaches_the_desk_alone(ticket: int, hand: Hand, happened: list[Any], action: Any) -> None:
    action(ticket)
    hand.run()

    notified = written()
    with_text = {recipient for recipient, rows in notified.items() if any(map(has_secret, rows))}
    assert with_text <= {"Ann Lee", "ann@example.com", "ben@example.com", "lead"}
    assert {"ben@example.com", "lead"} <= with_text
    # outside subscribers are notified of the event, without its text
    assert {OUTSIDE, "crm"} <= set(notified)
    assert {row.data.get("visibility") for row in notified["crm"]} >= {"internal"}
    assert "carl@example.com" not in notified
    assert SECRET not in json.dumps(happened, default=str)


def test_the_job_of_an_internal_note_names_the_agent_alone_also_for_an_earlier_worker(ticket: int) -> None:
    comment(ticket, "nora", f"A known {SECRET}")
    [job] = [each for each in all_jobs() if each.actor == "announce"]
    assert parse_arguments(job.args).roles == ("agent",)


def test_a_worker_sends_no_internal_note_whatever_roles_its_job_names(ticket: int, hand: Hand) -> None:
    with transaction() as session:
        job = event_job(ticket, "ticket.commented", 99, f"A known {SECRET}", PUBLIC_REPLY, "internal")
        jobs.enqueue(session, [job])
    hand.run()
    assert not {"ada@example.com", "carl@example.com"} & set(written())


@pytest.mark.parametrize("action", [ACTIONS["comment"], ACTIONS["resolution"]], ids=["comment", "resolution"])
def test_a_digest_of_an_outside_subscriber_has_no_internal_text(ticket: int, hand: Hand, action: Any) -> None:
    save_preference(OUTSIDE, **digest_in_two_hours())
    action(ticket)
    comment(ticket, "nora", "Another one")
    hand.run()
    end_delays()
    hand.run()

    rows = written()[OUTSIDE]
    assert any(row.event == "digest" for row in rows)
    assert not any(map(has_secret, rows))


def test_the_requester_is_notified_of_an_internal_resolution_without_its_text(ticket: int, hand: Hand) -> None:
    resolve(ticket, f"A known {SECRET}", "nora")
    hand.run()

    [notified] = written()["ada@example.com"]
    assert "has been resolved" in notified.body
    assert not has_secret(notified)


def test_a_public_text_reaches_its_addressees(ticket: int, hand: Hand, happened: list[Any]) -> None:
    comment(ticket, "nora", "Replaced the cable", visibility="public")
    resolve(ticket, "It was the cable", "nora", "public")
    hand.run()

    notified = written()
    assert ["Replaced the cable" in row.body for row in notified["ada@example.com"]] == [True, False]
    assert "It was the cable" in notified["ada@example.com"][1].body
    assert ["Replaced the cable" in row.body for row in notified["carl@example.com"]] == [True]
    assert {data["visibility"] for event, _, data in happened if event in ("ticket.commented", "ticket.resolved")} == {
        "public"
    }


def test_no_comment_is_mailed_to_its_author(ticket: int, hand: Hand) -> None:
    add_participant(ticket, "ann@example.com", "nora")
    subscribe("ada@example.com", "email", event="ticket.commented")

    comment(ticket, "Ann Lee", "By the agent, who is in Cc", visibility="public")
    comment(ticket, "Ada@example.com", "By the requester")
    hand.run()

    assert "ann@example.com" not in written()
    assert [row.body.count("By the agent") for row in written()["ada@example.com"]] == [1]


def test_the_requesters_own_comment_is_public_and_notifies_the_agent(ticket: int, hand: Hand) -> None:
    assert comment(ticket, "ada@example.com", "Still broken").visibility == "public"
    assert comment(ticket, "Ada Lovelace <ada@example.com>", "Hello?", visibility="internal").visibility == "internal"
    hand.run()
    assert "ada@example.com" not in written()
    assert len(written()["Ann Lee"]) == 2


def mail(number: int, text: str, sender: str = "ann@example.com") -> None:
    answered = answering(number, sender)["In_Reply_To"]
    head = f"From: {sender}\nMessage-ID: <{abs(hash(text))}@example.com>\nIn-Reply-To: {answered}\n\n"
    assert ingest_mail(f"{head}{text}\n".encode()).outcome == "comment"


def test_an_agents_mail_is_internal_unless_its_first_line_says_public(ticket: int, hand: Hand) -> None:
    mail(ticket, f"A known {SECRET}")
    mail(ticket, f"A {SECRET} again\n#public")
    mail(ticket, "#PUBLIC \nWe replaced the cable.")
    mail(ticket, "Thank you", sender="ada@example.com")
    hand.run()

    with reading() as session:
        rows = session.scalars(select(Comment).order_by(Comment.id)).all()
    assert [row.internal for row in rows if row.source == "mail"] == [True, True, False, False]
    assert [row.body.count("We replaced") for row in written()["ada@example.com"]] == [1]
    assert not any(map(has_secret, written()["ada@example.com"]))
    assert "#PUBLIC" not in written()["ada@example.com"][0].body


def test_a_reply_is_refused_when_its_recipients_have_changed(ticket: int) -> None:
    seen = ["ada@example.com", "carl@example.com"]
    comment(ticket, "nora", "To both", visibility="public", recipients=seen)
    add_participant(ticket, "eve@example.com", "nora")

    with pytest.raises(NotAllowed, match=r"would go to ada@example.com, carl@example.com, eve@example.com now"):
        comment(ticket, "nora", "To both", visibility="public", recipients=seen)
    comment(ticket, "nora", "A note needs none", visibility="internal", recipients=[])


def test_scopes_below_read_see_no_comment(ticket: int) -> None:
    comment(ticket, "nora", f"A known {SECRET}")
    for scope, expected in (("submit", 403), ("read", 200)):
        client = local_client(Authorization=f"Bearer {create_key(scope, name=scope)}")
        answers = [client.get(f"{API}/{ticket}"), client.get(f"/tickets/{ticket}"), client.get(API)]
        assert [answer.status_code for answer in answers] == [expected] * 3
        assert any(SECRET in answer.text for answer in answers) == (expected == 200)
        created = client.post(f"{API}?wait=0.1", json={"title": "VPN", "requester": "ada@example.com"})
        assert SECRET not in created.text


def test_lists_searches_exports_and_the_stream_hold_no_comment_and_no_resolution(ticket: int) -> None:
    before = None
    with reading() as session:
        before = changes.cursor(session)
    comment(ticket, "nora", f"A known {SECRET}")
    resolve(ticket, f"A known {SECRET}", "nora")
    client = local_client()

    assert SECRET not in client.get("/tickets.csv").text
    assert "VPN" not in client.get("/tickets.csv", params={"q": SECRET}).text
    assert "VPN drops" not in client.get("/tickets", params={"q": SECRET}, headers={"Accept": "text/html"}).text
    with reading() as session:
        assert SECRET not in json.dumps(changes.changed(session, before), default=str)


def test_examples_for_the_provider_and_mails_to_later_requesters_hold_no_internal_text(ticket: int, hand: Hand) -> None:
    comment(ticket, "nora", f"A known {SECRET}")
    resolve(ticket, f"A known {SECRET}", "nora")
    with transaction() as session:
        assert SECRET not in str(analysis.load_examples(session))
        assert not [text for text in inbound_mails.texts_of_ticket(session, ticket) if f"known {SECRET}" == text]
        [later] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester="bob@example.com"), {})])
        triage.send(later)
    hand.run()
    with reading() as session:
        rows = session.scalars(select(Notification).where(Notification.ticket_id == later)).all()
    assert rows
    assert not any(map(has_secret, rows))


def test_the_api_takes_and_returns_the_visibility(ticket: int) -> None:
    client: TestClient = local_client()
    path = f"{API}/{ticket}"

    assert client.post(f"{path}/comments", json={"text": "x"}).json()["visibility"] == "internal"
    assert client.post(f"{path}/comments", json={"text": "x", "visibility": "public"}).json()["visibility"] == "public"
    for wrong in ({"text": "x", "visibility": "secret"}, {"text": "x", "internal": False}):
        assert client.post(f"{path}/comments", json=wrong).status_code == 422
    for wrong in ({"status": "resolved", "visibility": "public"}, {"status": "pending", "visibility": "public"}):
        assert client.patch(path, json=wrong).status_code == 422
    body = {"status": "resolved", "resolution": "A new cable"}
    assert client.patch(path, json=body).json()["resolution_visibility"] == "internal"
    client.patch(path, json={"status": "open"})
    assert client.patch(path, json=body | {"visibility": "public"}).json()["resolution_visibility"] == "public"


def test_the_page_names_the_recipients_and_sends_by_this_button_alone(ticket: int, hand: Hand) -> None:
    add_participant(ticket, "dora@example.com", "nora")
    browser = local_client(Accept="text/html")
    browser.follow_redirects = False
    text = browser.get(f"/tickets/{ticket}").text
    assert "Reply to <bdi>ada@example.com and 2 in Cc</bdi>" in text
    assert "Resolve and send the resolution to <bdi>ada@example.com</bdi>" in text

    path = f"/tickets/{ticket}/comment"
    assert submit(browser, path, text=f"A known {SECRET}") == "Internal note added."
    assert submit(browser, path, text=f"A known {SECRET}", visibility="internal") == "Internal note added."
    for wrong in (
        {"visibility": "public"},
        {"visibility": "public", "recipients": "ada@example.com"},
        {"visibility": "x"},
    ):
        assert browser.post(path, data={"text": f"A known {SECRET}", **wrong}).status_code == 422
    everybody = "ada@example.com\ncarl@example.com\ndora@example.com"
    sent = submit(browser, path, text="The cable", visibility="public", recipients=everybody)
    assert sent == "Reply sent to ada@example.com and 2 in Cc."
    resolved = submit(browser, f"/tickets/{ticket}/resolve", resolution=f"A {SECRET}")
    assert resolved == "Resolved. The resolution is internal."
    hand.run()

    requester = written()["ada@example.com"]
    assert not any(map(has_secret, requester))
    assert [row.body.count("The cable") for row in requester] == [1, 0]


def test_a_ticket_without_a_requester_offers_no_reply(hand: Hand) -> None:
    with transaction() as session:
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester=""), {})])
    text = local_client(Accept="text/html").get(f"/tickets/{number}").text
    assert 'value="public"' not in text
    assert "Nobody can receive a reply" in text


def test_comments_of_an_earlier_version_stay_public(ticket: int) -> None:
    with transaction() as session:
        session.execute(
            Comment.__table__.insert().values(ticket_id=ticket, author="nora", text="Earlier", source="web")
        )
        session.execute(update(Ticket).values(status="resolved", resolution="Earlier", resolution_public=None))
    details = local_client().get(f"{API}/{ticket}").json()
    assert [each["visibility"] for each in details["timeline"] if each["kind"] == "comment"] == ["public"]
    assert details["resolution_visibility"] == "public"
