"""The pages of the dead letters."""

from __future__ import annotations

from fastapi.testclient import TestClient
from sqlalchemy import select

from db import reading
from db.models import DeadLetter
from tests.embedded import one_job
from tests.unit.web.clients import create_dead_letter, submit


def test_dead_letters_are_replayed_and_discarded_singly_and_as_a_group(browser: TestClient):
    first, second, third = create_dead_letter("a"), create_dead_letter("b"), create_dead_letter("c")

    assert "is available again" in submit(browser, f"/dead-letters/{first}/replay", args='["other"]')
    assert one_job().args == ["other"]
    assert browser.post(f"/dead-letters/{first}/replay", data={}).status_code == 404
    assert browser.post(f"/dead-letters/{second}/replay", data={"args": "{}"}).status_code == 422
    assert submit(browser, f"/dead-letters/{third}/discard", reason="spam") == f"Dead letter {third} discarded."
    assert submit(browser, "/dead-letters", fingerprint="f" * 12, action="replay", limit="10") == "1 replayed."
    assert browser.post("/dead-letters", data={"action": "replay"}).status_code == 422
    with reading() as session:
        states = dict(session.execute(select(DeadLetter.id, DeadLetter.state)).all())
    assert states == {first: "replayed", second: "replayed", third: "discarded"}
