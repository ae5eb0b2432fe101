"""The notifications of cancelled and of replayed jobs."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from actors.digest import digest_job
from db import dead_letters, notifications, queue_controls, reading, transaction
from db.jobs import NewJob
from db.models import Notification
from db.time import from_now
from tests.embedded import all_jobs, enqueue, letters

pytestmark = pytest.mark.usefixtures("database")


def write(identity: str, state: str = "enqueued", recipient: str = "a@example.com") -> None:
    row = {"id": identity, "ticket_id": None, "event": "ticket.created", "channel": "email", "recipient": recipient}
    row |= {"role": "requester", "dedupe_key": identity, "subject": "s", "body": "b", "state": state}
    with transaction() as session:
        notifications.write(session, [row])
        if state == "delayed":
            session.execute(update(Notification).where(Notification.id == identity).values(delayed_until=from_now(600)))


def states() -> dict[str, str]:
    with reading() as session:
        rows = session.execute(select(Notification.id, Notification.state))
        return {row.id: row.state for row in rows}


def cancel(job_id: int) -> None:
    with transaction() as session:
        queue_controls.cancel(session, job_id, "a test")


def test_the_notification_of_a_cancelled_delivery_is_cancelled_until_it_is_replayed():
    for identity in ("n-a", "n-b"):
        write(identity)
    enqueue(NewJob("email", "n-a"), NewJob("email", "n-b"))

    cancel(all_jobs()[0].id)
    assert states() == {"n-a": "cancelled", "n-b": "enqueued"}

    with transaction() as session:
        dead_letters.replay(session, letters()[0].id, force=True)
    assert states() == {"n-a": "enqueued", "n-b": "enqueued"}


def test_a_delivery_that_may_have_begun_is_in_doubt_and_a_sent_one_stays_sent():
    write("n-a", "sending")
    write("n-b", "sent")
    enqueue(NewJob("email", "n-a"), NewJob("email", "n-b"))

    for job in all_jobs():
        cancel(job.id)

    assert states() == {"n-a": "in_doubt", "n-b": "sent"}


def test_the_delayed_notifications_of_a_cancelled_digest_are_cancelled():
    write("n-a", "delayed")
    write("n-b", "delayed", "b@example.com")
    enqueue(digest_job("email", "a@example.com", 600))

    cancel(all_jobs()[0].id)
    assert states() == {"n-a": "cancelled", "n-b": "delayed"}

    with transaction() as session:
        dead_letters.replay(session, letters()[0].id, force=True)
    assert states() == {"n-a": "delayed", "n-b": "delayed"}


def test_a_cancelled_step_cancels_no_notification():
    write("17")
    enqueue(NewJob("email", "17"), NewJob("classify", "17"))

    with transaction() as session:
        queue_controls.cancel_ticket(session, 17, "a test")

    assert states() == {"17": "enqueued"}


def test_a_cancelled_notification_is_resent():
    write("n-a", "cancelled")
    with transaction() as session:
        assert notifications.resend(session, "n-a") == "email"
    assert states() == {"n-a": "enqueued"}
