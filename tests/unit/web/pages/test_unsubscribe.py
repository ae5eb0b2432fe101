"""The page of unsubscribe links: GET asks, POST unsubscribes, and only what the link names."""

from __future__ import annotations

from fastapi.testclient import TestClient

from aura.notifications.unsubscribe import Unsubscribe, make_token
from db import digests, notifications, participants, preferences, reading, signing_keys, subscriptions, transaction
from tests.unit.actors.helpers import MANAGER, digest_in_two_hours, save_preference, subscribe, write_delayed
from tests.unit.web.clients import audit_entries, create_ticket, remote_client

OTHER = "other@example.com"


def link(what: Unsubscribe) -> str:
    with reading() as session:
        return f"/unsubscribe/{make_token(signing_keys.get(session, 'unsubscribe'), what)}"


def subscribers() -> list[tuple[str, str]]:
    with reading() as session:
        return sorted((row["recipient"], row["channel"]) for row in subscriptions.all_subscriptions(session))


def digests_of() -> dict[str, str]:
    with reading() as session:
        return {name: row["digest"] for name, row in preferences.all_preferences(session).items()}


def settings_of_two() -> None:
    for address in (MANAGER, OTHER):
        subscribe(address)
        save_preference(address, **digest_in_two_hours(), language="de")
    subscribe("desk-slack", "slack")


def test_opening_a_link_changes_nothing_and_asks(database: str):
    settings_of_two()
    client, address = remote_client(Accept="text/html"), link(Unsubscribe(MANAGER.upper()))

    for answer in (client.get(address), client.head(address)):
        assert answer.status_code == 200
    page = client.get(address).text
    assert '<form method="post"' in page and MANAGER in page
    assert subscribers() == [("desk-slack", "slack"), (MANAGER, "email"), (OTHER, "email")]
    assert digests_of() == {MANAGER: "daily", OTHER: "daily"}


def test_one_click_ends_the_digest_of_that_address_alone(database: str):
    settings_of_two()
    # as mail programs send it: without cookies, and from anywhere
    client, address = remote_client(Origin="https://mail.example"), link(Unsubscribe(MANAGER))
    first = client.post(address, data={"List-Unsubscribe": "One-Click"})
    again = client.post(address, data={"List-Unsubscribe": "One-Click"})

    assert (first.status_code, again.status_code) == (200, 200)
    assert subscribers() == [("desk-slack", "slack"), (OTHER, "email")]
    assert digests_of() == {MANAGER: "", OTHER: "daily"}
    with reading() as session:
        assert preferences.all_preferences(session)[MANAGER]["language"] == "de", "the rest of the preference stays"
    assert ("unsubscribe link", "notifications.unsubscribe", f"recipient/{MANAGER}") in audit_entries()


def test_delayed_notifications_are_not_lost(database: str):
    settings_of_two()
    write_delayed(MANAGER)
    remote_client().post(link(Unsubscribe(MANAGER)))

    with reading() as session:
        assert len(digests.due(session, "email", MANAGER, 10)) == 3
        assert {each["state"] for each in notifications.overview(session, recipient=MANAGER)} == {"delayed"}


def test_a_link_of_a_ticket_removes_its_recipient_from_that_ticket_alone(database: str):
    first, second = create_ticket(), create_ticket()
    with transaction() as session:
        for number in (first, second):
            participants.add(session, number, [("", MANAGER), ("", OTHER)], "ada@example.com")
    subscribe(MANAGER)
    page = remote_client(Accept="text/html").post(link(Unsubscribe(MANAGER, first)))

    assert f"no more mails about ticket {first}" in page.text
    with reading() as session:
        assert participants.of_tickets(session, [first, second]) == {first: [OTHER], second: [MANAGER, OTHER]}
    assert subscribers() == [(MANAGER, "email")]
    assert remote_client().post(link(Unsubscribe(MANAGER, 4711))).status_code == 200, "of a deleted ticket"


def test_a_forged_link_is_not_found(browser: TestClient):
    settings_of_two()
    token = make_token(b"another key", Unsubscribe(MANAGER))

    for answer in (browser.get(f"/unsubscribe/{token}"), browser.post(f"/unsubscribe/{token}")):
        assert answer.status_code == 404
        assert "not valid" in answer.text
    assert browser.post("/unsubscribe/x" * 900).status_code in (404, 422)
    assert digests_of() == {MANAGER: "daily", OTHER: "daily"}
