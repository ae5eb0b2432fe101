"""Audit log: written in the transaction of the action."""

from __future__ import annotations

import pytest

from db.audit import Actor, acting
from db.models import AuditEntry
from tests.embedded import count


def test_an_action_that_fails_leaves_no_entry(database: str):
    with pytest.raises(RuntimeError), acting(Actor("somebody"), "queue.pause", "queue/x"):
        raise RuntimeError("it fails")
    assert count(AuditEntry) == 0
