"""Database access of the commands: one transaction, one audit entry, clear errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from aura.cli.database import apply_to_all, audited, reads, ready_database, warn_without_worker, writes
from aura.errors import NotFound, Unavailable
from db import audit, reading
from db.database import dispose
from db.models import Agent
from tests.embedded import count
from tests.unit.workers import A, beat


def test_a_new_sqlite_file_is_migrated(configure: Callable[..., Any], tmp_path: Path):
    configure(DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    try:
        with reads() as session:
            assert session.query(Agent).all() == []
    finally:
        dispose()


@pytest.mark.usefixtures("sqlite")
def test_an_error_of_the_database_is_one_line_with_the_command_that_helps():
    with (
        pytest.raises(Unavailable, match=r"no such table: nowhere.*\(see `aura doctor`\)") as refused,
        writes() as session,
    ):
        session.execute(text("SELECT * FROM nowhere"))
    assert "\n" not in str(refused.value)


def test_an_error_of_the_database_hides_the_password(configure: Callable[..., Any]):
    configure(DATABASE_URL="postgresql://aura:hunter2@127.0.0.1:1/aura")
    try:
        with pytest.raises(Unavailable) as refused, ready_database():
            pass
    finally:
        dispose()
    assert "hunter2" not in str(refused.value)


@pytest.mark.usefixtures("database")
def test_a_failed_step_undoes_the_steps_before():
    def add(session: Any, name: str) -> str:
        if name == "bad":
            raise NotFound("there is no bad")
        session.add(Agent(name=name, email="", skills=[]))
        return name

    with pytest.raises(NotFound):
        apply_to_all(["ann", "bad"], add)
    assert count(Agent) == 0
    assert apply_to_all(["ann", "ben"], add) == ["ann", "ben"]
    assert count(Agent) == 2


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no entry")])
def test_the_audit_entry_names_the_caller_also_when_the_system_does_not(
    error: Exception, monkeypatch: pytest.MonkeyPatch
):
    def unknown() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", unknown)
    with audited("queue.pause", "queue/ai.classify", reason="a test"):
        pass

    with reading() as session:
        [entry] = audit.listing(session)
    assert (entry["action"], entry["subject"]) == ("queue.pause", "queue/ai.classify")
    assert entry["who"].startswith("cli unknown@")


@pytest.mark.usefixtures("sqlite")
def test_the_warning_names_the_worker_command_unless_a_worker_is_alive(capsys: pytest.CaptureFixture[str]):
    warn_without_worker()
    assert "start `aura run`" in capsys.readouterr().err

    beat(A, "desk:1")
    warn_without_worker()
    assert capsys.readouterr().err == ""
