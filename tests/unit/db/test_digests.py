"""Digests in the database: delayed notifications are digested by one worker."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from aura.notifications import DIGEST
from db import digests, notifications, transaction
from db.digests import ConcurrentChange
from db.models import Notification
from db.statements import table
from tests.unit.actors.digests import digest_in_two_workers, digest_result, save
from tests.unit.actors.helpers import (
    notifications_to,
    states,
    write_delayed,
)

pytestmark = pytest.mark.usefixtures("database")


def test_two_workers_without_the_state_check_deliver_twice(monkeypatch: pytest.MonkeyPatch):
    # Mutant: a notification is moved whatever its state is
    def move_anyway(session: Any, ids: list[str], **values: Any) -> None:
        session.execute(update(table(Notification)).where(table(Notification).c.id.in_(ids)).values(**values))

    monkeypatch.setattr(digests, "move", move_anyway)
    with pytest.raises(AssertionError):
        digest_in_two_workers()


def test_a_notification_resent_during_the_digest_is_not_in_it():
    write_delayed(rows=3)
    done = digest_result()
    with transaction() as session:
        notifications.resend(session, done.result.deliver[0])
    with pytest.raises(ConcurrentChange):
        save(done)

    save(digest_result())
    assert states() == {"enqueued": 2, "digested": 2}
    assert notifications_to(event=DIGEST)[0].data["count"] == 2
