"""A move of an attachment while PostgreSQL closes the connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from aura.attachments.content import read_content
from aura.attachments.storage.folder import FolderStorage
from db import reading, transaction
from db.models import Job
from tests.embedded import Hand, all_jobs, letters
from tests.unit.actors.test_attachments import LONG, attach, files, stored

pytestmark = pytest.mark.usefixtures("postgres")


@pytest.fixture
def folder(configure: Callable[..., Any], tmp_path: Path) -> Path:
    configure(AURA_ATTACHMENTS="folder", AURA_ATTACHMENTS_FOLDER=str(tmp_path / "attachments"))
    return tmp_path / "attachments"


def test_a_database_that_goes_away_during_a_move_delays_it_and_loses_nothing(
    folder: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch
):
    number = attach()
    write, interruptions = FolderStorage.write, [True]

    def interrupted(parts: Iterable[bytes]) -> Iterator[bytes]:
        for part in parts:
            yield part
            with reading() as session:
                session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    def write_once_interrupted(storage: FolderStorage, key: str, parts: Iterable[bytes]) -> None:
        write(storage, key, interrupted(parts) if interruptions and interruptions.pop() else parts)

    monkeypatch.setattr(FolderStorage, "write", write_once_interrupted)
    hand.run()
    assert (stored(number).storage, files(folder), letters()) == ("database", [], [])
    assert b"".join(read_content(stored(number))) == LONG

    with transaction() as session:  # as after the lease has expired
        session.execute(update(Job).values(lease=None, worker=None, hinted_at=None))
    hand.run()
    assert (stored(number).storage, len(files(folder)), all_jobs()) == ("folder", 1, [])
    assert b"".join(read_content(stored(number))) == LONG
