"""Notifications: the inbox, and the transitions by hand with their errors."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from db import notifications, transaction
from db.models import Notification
from db.notifications import UnknownCursor, UnknownNotification, WrongState


def write(key: str, state: str, **columns: Any) -> None:
    row: dict[str, Any] = {"id": key, "ticket_id": None, "event": "message", "channel": "email", "role": "agent"}
    row |= {"recipient": "ada@example.com", "dedupe_key": key, "subject": "s", "body": "b", "state": "enqueued"}
    with transaction() as session:
        notifications.write(session, [row])
        session.execute(update(Notification).where(Notification.id == key).values(state=state, **columns))


def state(key: str) -> str:
    with transaction() as session:
        return notifications.load(session, [key])[key].state


@pytest.mark.parametrize("before", notifications.RESENDABLE)
def test_resend_enqueues_a_notification(before: str, database: str) -> None:
    write("a", before)
    with transaction() as session:
        assert notifications.resend(session, "a") == "email"

    assert state("a") == "enqueued"


def test_settle_marks_a_notification_in_doubt_as_sent(database: str) -> None:
    write("a", "in_doubt")
    with transaction() as session:
        assert notifications.in_doubt_count(session) == 1
        assert notifications.settle(session, "a") == "email"

    assert state("a") == "sent"


@pytest.mark.parametrize(
    ("before", "columns", "message"),
    [
        ("sending", {}, "notification a is sending; it must be in_doubt or delayed or enqueued or sent"),
        ("digested", {"digest_id": "d"}, r"notification a is digested \(digest d\); it must be "),
        ("sent", {"channel": "in_app"}, "notification a is in-app: its row is the delivery"),
    ],
)
def test_resend_in_another_state_is_a_conflict(
    before: str, columns: dict[str, str], message: str, database: str
) -> None:
    write("a", before, **columns)
    with transaction() as session, pytest.raises(WrongState, match=message):
        notifications.resend(session, "a")

    assert state("a") == before


def test_an_unknown_notification_is_not_found(database: str) -> None:
    with transaction() as session:
        for action in (notifications.resend, notifications.settle):
            with pytest.raises(UnknownNotification, match="notification x does not exist"):
                action(session, "x")


def test_an_unknown_cursor_is_not_found(database: str) -> None:
    with transaction() as session, pytest.raises(UnknownCursor, match="before: "):
        notifications.listing(session, "ada", before="x")


def test_an_in_app_notification_is_read_by_its_reader_alone(database: str) -> None:
    hostile = "<script>\u202e\r\nBcc: x" + "x" * 1000
    for number in range(5):
        row: dict[str, Any] = {"id": f"n{number}", "ticket_id": None, "event": "message", "channel": "in_app"}
        row |= {"recipient": "lena" if number else "rui", "role": "agent", "dedupe_key": f"n{number}"}
        with transaction() as session:
            notifications.write(session, [row | {"subject": hostile, "body": hostile, "state": "sent"}])
    with transaction() as session:
        assert [each.id for each in notifications.listing(session, "lena", limit=2)] == ["n4", "n3"]
        assert [each.id for each in notifications.listing(session, "lena", before="n3")] == ["n2", "n1"]
        assert notifications.listing(session, "lena")[0].subject == hostile
        assert notifications.unread(session, "lena") == 4
        # notifications of others, unknown ones and read ones are not changed
        assert notifications.mark_read(session, "lena", ["n0", "n1", "n1", "nowhere"]) == 1
        assert notifications.mark_read(session, "lena", ["n1"]) == 0
        assert [each.id for each in notifications.listing(session, "lena", unread_only=True)] == ["n4", "n3", "n2"]
        assert (notifications.unread(session, "lena"), notifications.unread(session, "rui")) == (3, 1)


@pytest.mark.usefixtures("database")
def test_a_repeated_notification_is_stored_once():
    row = {"id": "a" * 32, "ticket_id": None, "event": "message", "channel": "email", "recipient": "ada@example.com"}
    row |= {"role": "", "dedupe_key": "once", "subject": "", "body": "", "state": "enqueued"}

    with transaction() as session:
        assert notifications.write(session, [row, row | {"id": "b" * 32}]) == ["a" * 32]
        assert notifications.write(session, [row | {"id": "c" * 32}]) == []
