"""Exports of help desks: each file of tests/data/exports becomes the tickets of expected.yaml."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from aura.desk.agents import import_agents
from aura.desk.importing import import_tickets, presets
from db import reading
from db.models import Job, Ticket
from tests.embedded import count

EXPORTS = Path(__file__).parents[3] / "data" / "exports"
EXPECTED: dict[str, Any] = yaml.safe_load((EXPORTS / "expected.yaml").read_text("utf-8"))


def stored() -> list[Ticket]:
    with reading() as session:
        return list(session.scalars(select(Ticket).order_by(Ticket.id)))


@pytest.fixture
def agent(tmp_path: Path) -> None:
    path = tmp_path / "agents.csv"
    path.write_text("name,email,team,skills,capacity\nOtto Berg,otto@example.com,Desk,Hardware,10\n")
    import_agents(path)


@pytest.mark.usefixtures("database", "agent")
@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_becomes_the_tickets_that_it_means(name: str):
    expected = EXPECTED[name]

    report = import_tickets(EXPORTS / name)

    assert (report.rejected, report.bad, report.warnings) == (0, [], [])
    assert (report.file.source, report.file.encoding) == (expected["source"], expected["encoding"])
    tickets = stored()
    got = [
        {field: getattr(ticket, field) for field in each}
        for ticket, each in zip(tickets, expected["tickets"], strict=True)
    ]
    assert got == expected["tickets"]
    assert {ticket.source for ticket in tickets} == {expected["source"]}
    assert [ticket.assignee or "" for ticket in tickets] == [each.get("assignee", "") for each in expected["tickets"]]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", EXPECTED)
def test_a_second_import_of_an_export_changes_nothing(name: str):
    first = import_tickets(EXPORTS / name)
    jobs = count(Job)
    again = import_tickets(EXPORTS / name)

    assert (again.new, again.known, again.rejected) == (0, first.new, 0)
    assert not any(row.changed for row in again.known_rows)
    assert count(Job) == jobs


def test_each_preset_has_an_export():
    covered = {expected["source"].partition(":")[2] for expected in EXPECTED.values()}

    assert covered - {""} == {name for name, preset in presets().items() if preset.known}


def test_the_expected_times_are_utc():
    times = [value for each in EXPECTED.values() for ticket in each["tickets"] for value in ticket.values()]

    assert all(time.tzinfo == UTC for time in times if isinstance(time, datetime))
