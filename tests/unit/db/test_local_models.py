"""Local models: versions, the active one, and the reviewed tickets for training."""

from __future__ import annotations

import pytest

from db import corrections, local_models, reading, transaction
from db.local_models import SHIPPED, ReviewedTicket, UnknownLocalModel
from db.new_tickets import NewTicket
from tests.unit.db.helpers import create, save_verdicts, verdict

pytestmark = pytest.mark.usefixtures("database")


def store(version: str, body: bytes = b"model", **report: float) -> None:
    with transaction() as session:
        local_models.store(session, version, body, report)


def activate(version: str) -> None:
    with transaction() as session:
        local_models.activate(session, version)


def test_at_most_one_version_is_active():
    store("local-1")
    store("local-2", b"second")
    for version in ("local-1", "local-2"):
        activate(version)
    with reading() as session:
        assert local_models.active(session) == ("local-2", b"second")
        assert local_models.active(session, known="local-2") == ("local-2", None)
        assert [row["version"] for row in local_models.versions(session) if row["active"]] == ["local-2"]

    activate(SHIPPED)
    with reading() as session:
        assert local_models.active(session) is None
        assert local_models.versions(session)[-1] == {
            "version": SHIPPED, "active": True, "created_at": None, "report": {},
        }  # fmt: skip


def test_storing_a_version_again_replaces_its_body_and_report():
    store("local-1", b"old", accuracy=0.5)
    store("local-1", b"new", accuracy=0.9)

    with reading() as session:
        assert local_models.body(session, "local-1") == b"new"
        assert [row["report"] for row in local_models.listing(session)] == [{"accuracy": 0.9}]


def test_an_unknown_version_cannot_be_activated():
    with pytest.raises(UnknownLocalModel, match=r"^no local model 'local-9'$"):
        activate("local-9")
    with reading() as session:
        assert local_models.body(session, "local-9") is None


def test_reviewed_tickets_have_the_newest_value_of_each_field():
    first, _ = create(NewTicket(title="VPN", description="drops"), NewTicket(title="not reviewed"))
    save_verdicts(verdict(first))
    with transaction() as session:
        corrections.correct(session, first, "nora", {"category": "Hardware"})
        corrections.correct(session, first, "nora", {"category": "Access"})
    with reading() as session:
        assert local_models.reviewed_tickets(session) == [ReviewedTicket("VPN", "drops", "Access", None)]
