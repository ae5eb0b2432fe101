"""Local models: stored versions, the active one, and training data from reviews."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from db import local_models, reading, transaction
from db.local_models import ReviewedTicket, UnknownLocalModel
from db.models import Correction, Ticket

MODEL_FILE = json.dumps(
    {
        "version": "local-pets",
        "scale": 1000,
        "categories": ["Cats", "Dogs"],
        "priorities": [],
        "category_bias": [0.0, 0.0],
        "priority_bias": [],
        "category_temperature": 0.5,
        "priority_temperature": 1.0,
        "held_back": {
            "category": {"Cats": {"right": [0.9] * 60, "wrong": [0.2] * 10}, "Dogs": {"right": [], "wrong": [0.9]}}
        },
        "signals": {},
        "words": {"purr": [9000, 9000, -9000], "bark": [9000, -9000, 9000]},
        "pieces": {},
    }
)


def store(version: str, content: str = MODEL_FILE, report: dict[str, Any] | None = None, use: bool = False) -> None:
    with transaction() as session:
        local_models.store(session, version, gzip.compress(content.encode()), report or {})
        if use:
            local_models.activate(session, version)


@pytest.mark.usefixtures("database")
def test_a_stored_model_is_activated_and_deactivated():
    store("local-1")
    store("local-2", report={"tickets": 7})
    with reading() as session:
        assert local_models.active(session) is None
        assert {row["version"]: row["report"] for row in local_models.listing(session)} == {
            "local-1": {},
            "local-2": {"tickets": 7},
        }
    for version in ("local-1", "local-2"):
        with transaction() as session:
            local_models.activate(session, version)
        with reading() as session:
            assert local_models.active(session)[0] == version  # type: ignore[index]
            assert [row["version"] for row in local_models.listing(session) if row["active"]] == [version]
    with transaction() as session:
        local_models.activate(session, local_models.SHIPPED)
    with reading() as session:
        assert local_models.active(session) is None


@pytest.mark.usefixtures("database")
def test_the_body_is_read_when_the_version_changed_only():
    store("local-1", use=True)
    with reading() as session:
        version, body = local_models.active(session) or ("", None)
        assert version == "local-1" and body is not None and gzip.decompress(body).decode() == MODEL_FILE
        assert local_models.active(session, known="local-1") == ("local-1", None)
        assert local_models.active(session, known="local-0") == ("local-1", body)
        assert local_models.body(session, "local-1") == body
        assert local_models.body(session, "local-0") is None


@pytest.mark.usefixtures("database")
def test_a_model_stored_twice_keeps_its_state():
    store("local-1", report={"tickets": 1}, use=True)
    store("local-1", report={"tickets": 2})
    with reading() as session:
        rows = local_models.listing(session)
    assert [(row["version"], row["active"], row["report"]) for row in rows] == [("local-1", True, {"tickets": 2})]


@pytest.mark.usefixtures("database")
def test_activating_an_unknown_version_changes_nothing():
    store("local-1", use=True)
    with pytest.raises(UnknownLocalModel, match="'local-9'"), transaction() as session:
        local_models.activate(session, "local-9")
    with reading() as session:
        assert local_models.active(session, known="local-1") == ("local-1", None)


def ticket(title: str, **values: Any) -> int:
    with transaction() as session:
        row = Ticket(source="test", raw="{}", title=title, description=f"about {title}", **values)
        session.add(row)
        session.flush()
        return row.id


def corrected(ticket_id: int, field: str, new: str) -> None:
    with transaction() as session:
        session.add(Correction(ticket_id=ticket_id, field=field, new=new, author="ada"))


@pytest.mark.usefixtures("database")
def test_the_newest_correction_of_a_ticket_is_training_data():
    ticket("nobody looked", category="Email", category_by="engine", priority="low", priority_by="engine")
    ticket("set by hand", category="Access", category_by="human", priority="low", priority_by="engine")
    twice = ticket("corrected twice", category="Email", category_by="engine", priority="high", priority_by="human")
    for name in ("Network", "Hardware"):
        corrected(twice, "category", name)
    urgent = ticket("only urgent", category="Email", category_by="engine")
    corrected(urgent, "priority", "critical")

    with reading() as session:
        assert local_models.reviewed_tickets(session) == [
            ReviewedTicket("set by hand", "about set by hand", "Access", None),
            ReviewedTicket("corrected twice", "about corrected twice", "Hardware", "high"),
            ReviewedTicket("only urgent", "about only urgent", None, "critical"),
        ]
