"""Notifications, listed by the CLI and over HTTP; on both databases."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from db import reading, transaction
from db.models import Notification
from db.statements import table
from tests.commands import Run
from tests.embedded import all_jobs, web_app
from tests.unit.actors.helpers import MANAGER, notifications_to, write_delayed
from tests.unit.web.clients import create_key, create_user, log_in, remote_client

pytestmark = pytest.mark.usefixtures("database")

PATH = "/api/v1/notifications"
_c = table(Notification).c


def inbox(recipient: str, rows: int) -> None:
    write_delayed(recipient, rows)
    set_(recipient, channel="in_app", state="sent", delayed_until=None)


def set_(recipient: str, **values: object) -> list[str]:
    with transaction() as session:
        changed = update(table(Notification)).where(_c.recipient == recipient).values(values)
        return list(session.scalars(changed.returning(_c.id)))


def test_pages_hold_each_notification_once_despite_new_ones(web: TestClient):
    inbox("ada", 5)
    inbox("bob", 1)
    first = web.get(PATH, params={"recipient": "ada", "limit": 2}).json()
    assert (len(first["notifications"]), first["unread"]) == (2, 5)
    inbox("ada", 1)
    seen = [each["id"] for each in first["notifications"]]
    cursor = first["next"]
    while cursor:
        page = web.get(PATH, params={"recipient": "ada", "limit": 2, "cursor": cursor}).json()
        seen += [each["id"] for each in page["notifications"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 5


def test_a_notification_is_marked_as_read_once(web: TestClient):
    inbox("ada", 2)
    one = web.get(PATH, params={"recipient": "ada"}).json()["notifications"][0]["id"]
    assert web.post(f"{PATH}/{one}/read", params={"recipient": "eve"}).status_code == 404
    first = web.post(f"{PATH}/{one}/read", params={"recipient": "ada"})
    assert first.status_code == 200
    assert first.json()["read_at"]
    assert web.post(f"{PATH}/{one}/read", params={"recipient": "ada"}).json() == first.json()
    rest = web.get(PATH, params={"recipient": "ada", "unread": True}).json()
    assert ([each["id"] == one for each in rest["notifications"]], rest["unread"]) == ([False], 1)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (PATH, 422),
        (f"{PATH}?recipient=", 422),
        (f"{PATH}?recipient=ada&limit=0", 422),
        (f"{PATH}?recipient=ada%00", 422),
        (f"{PATH}?recipient=ada&cursor=nothing", 404),
    ],
)
def test_an_invalid_query_is_a_problem(web: TestClient, path: str, status: int):
    answer = web.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_notification_of_another_channel_is_not_marked_as_read(web: TestClient):
    write_delayed(rows=1)
    for key in ("nothing", notifications_to()[0].id, "%00"):
        answer = web.post(f"{PATH}/{key}/read", params={"recipient": notifications_to()[0].recipient})
        assert answer.status_code in (404, 422)
    assert notifications_to()[0].read_at is None


def test_notifications_are_shown_to_their_recipient_and_to_operators():
    app = web_app()
    operator, reader = create_key("read", "operate", name="desk"), create_key("read", name="board")
    create_user("viewer", "ada")
    ada = remote_client(app)
    log_in(ada, "ada")

    def status(recipient: str, key: str = "") -> int:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return ada.get(PATH, params={"recipient": recipient}, headers=headers).status_code

    assert [status("Ada"), status("bob"), status("bob", operator), status("bob", reader)] == [200, 403, 200, 403]


def test_delayed_notifications_are_resent_and_those_in_doubt_settled(run: Run):
    write_delayed(rows=2)
    assert run("notifications", "delayed", "--format", "json").json()[0]["delayed"] == 2
    one, other = (row["id"] for row in run("notifications", "list", "--state", "delayed", "--format", "json").json())
    assert run("notifications", "resend", one).out == f"{one} enqueued for email\n"
    assert [(job.actor, job.key) for job in all_jobs()] == [("email", one)]
    assert f"notification {one} is enqueued; it must be in_doubt" in run("notifications", "settle", one).err
    set_(MANAGER, state="in_doubt")
    assert "2 in doubt" in run("notifications", "list", "--channel", "email", "--recipient", MANAGER).err
    wrong = run("notifications", "settle", other, "nothing")
    assert "notification nothing does not exist" in wrong.err
    with reading() as session:
        assert session.get_one(Notification, other).state == "in_doubt"
    assert run("notifications", "settle", other).out == f"{other} settled as delivered\n"
    assert {each.state for each in notifications_to()} == {"in_doubt", "sent"}


@pytest.mark.parametrize("how", ["text", "html", "json"])
def test_the_wording_is_previewed(run: Run, how: str):
    shown = run(
        "notifications", "preview", "--event", "escalated", "--language", "de", "--role", "agent", "--format", how
    )
    assert (shown.code, "weisen Sie es neu zu" in shown.out) == (0, True)
    assert run("notifications", "preview").err.count("--- ticket.") >= 9
    assert "there is no ticket 99" in run("notifications", "preview", "--ticket", 99).err
    assert "event: there is no 'x'" in run("notifications", "preview", "--event", "x").err


def test_a_key_with_the_name_of_a_user_does_not_read_the_notifications_of_the_user(database: str):
    inbox("ada", 1)
    create_user("viewer", "ada")
    key = remote_client(Authorization=f"Bearer {create_key('read', name='ada')}")
    ada = remote_client()
    log_in(ada, "ada")

    assert key.get(PATH, params={"recipient": "ada"}).status_code == 403
    assert ada.get(PATH, params={"recipient": "ada"}).status_code == 200
