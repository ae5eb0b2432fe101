"""People in Cc of a ticket, over the API, the pages and the command line."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from db.participants import MAX_PARTICIPANTS
from db.timeline import timeline
from tests.commands import Run
from tests.unit.web.clients import HOSTILE, audit_entries, create_ticket, reading, submit

API = "/api/v1/tickets"


def test_a_person_is_added_listed_and_removed(web: TestClient):
    number = create_ticket()
    path = f"{API}/{number}/participants"
    added = web.post(path, json={"address": "Bob@Example.com", "name": "Bob Sand"})

    assert added.status_code == 201
    [person] = web.get(path).json()["participants"]
    assert (person["address"], person["name"], person["added_by"]) == ("bob@example.com", "Bob Sand", "key local")
    assert [each["address"] for each in web.get(f"{API}/{number}").json()["participants"]] == ["bob@example.com"]
    assert web.post(path, json={"address": "bob@example.com"}).json() == added.json(), "a repetition"

    assert web.delete(f"{path}/BOB@example.com").status_code == 204
    assert web.delete(f"{path}/bob@example.com").status_code == 404
    assert web.get(path).json()["participants"] == []
    # a person may add somebody whom a mail no longer can
    assert web.post(path, json={"address": "bob@example.com"}).json()["participants"][0]["name"] == "Bob Sand"
    with reading() as session:
        found = timeline(session, number)
    assert found is not None
    assert [each["text"] for each in found["timeline"] if each["kind"] == "action"] == [
        "added bob@example.com to Cc",
        "removed bob@example.com from Cc",
        "added bob@example.com to Cc",
    ]
    assert "ticket.participant_remove" in [action for _, action, _ in audit_entries()]


@pytest.mark.parametrize("address", ["", "bob", "bob@example.com, eve@example.com", "Bob <bob@example.com>", HOSTILE])
def test_an_invalid_address_is_refused(web: TestClient, address: str):
    answer = web.post(f"{API}/{create_ticket()}/participants", json={"address": address})

    assert answer.status_code == 422
    assert audit_entries() == []


def test_a_ticket_has_a_bounded_number_of_people_in_cc(web: TestClient):
    path = f"{API}/{create_ticket()}/participants"
    codes = [web.post(path, json={"address": f"p{n}@example.com"}).status_code for n in range(MAX_PARTICIPANTS + 1)]

    assert codes == [201] * MAX_PARTICIPANTS + [422]


def test_an_unknown_ticket_is_404(web: TestClient):
    for answer in (
        web.get(f"{API}/4711/participants"),
        web.post(f"{API}/4711/participants", json={"address": "bob@example.com"}),
        web.delete(f"{API}/4711/participants/bob@example.com"),
    ):
        assert answer.status_code == 404


def test_the_page_of_a_ticket_shows_adds_and_removes_people(browser: TestClient):
    number = create_ticket()
    path = f"/tickets/{number}/participants"

    assert submit(browser, f"{path}/add", address="bob@example.com") == "Added to Cc."
    assert submit(browser, f"{path}/add", address="bob@example.com") == "Is in Cc already."
    assert "Remove bob@example.com" in browser.get(f"/tickets/{number}").text
    assert submit(browser, f"{path}/remove", address="bob@example.com") == "Removed from Cc."
    assert "Remove bob@example.com" not in browser.get(f"/tickets/{number}").text


def test_the_command_lists_adds_and_removes_people(run: Run, database: str):
    number = str(create_ticket())
    command = ("tickets", "participants", number)

    assert "Nobody is in Cc." in run(*command).err
    assert "bob@example.com" in run(*command, "--add", "bob@example.com").out
    assert [row["address"] for row in run(*command, "--format", "json").json()] == ["bob@example.com"]
    assert "Nobody is in Cc." in run(*command, "--remove", "bob@example.com").err
    assert run(*command, "--remove", "eve@example.com").code == 1


def test_an_internal_comment_is_marked_on_the_page_and_in_the_api(browser: TestClient, run: Run):
    number = create_ticket()
    submit(browser, f"/tickets/{number}/comment", text="For agents")
    browser.post(f"{API}/{number}/comments", json={"text": "For agents, too"})
    assert run("tickets", "comment", str(number), "For agents, by command").code == 0
    to = {"visibility": "public", "recipients": "ada@example.com"}
    submit(browser, f"/tickets/{number}/comment", text="For everybody", **to)
    entries = [each for each in browser.get(f"{API}/{number}").json()["timeline"] if each["kind"] == "comment"]

    assert [each["visibility"] for each in entries] == ["internal", "internal", "internal", "public"]
    text = browser.get(f"/tickets/{number}").text
    assert text.count('<span class="tag">Internal</span>') == 3
    assert text.count('<span class="tag accent">Public</span>') == 1
