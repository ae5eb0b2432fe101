"""`aura workers`, and the routes that do the same."""

from __future__ import annotations

import pytest

from aura import VERSION
from db import audit, reading
from tests.commands import Run
from tests.unit.web.clients import local_client
from tests.unit.workers import RELAY, A, B, beat

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_worker_is_drained_by_name_or_id_and_stops_at_its_next_beat(run: Run):
    # Given two workers and a relay
    assert not any([beat(A, "desk:1"), beat(B, "desk:2"), beat(RELAY, "desk:3", "relay")])

    # When one is drained by its name, and the page and the API are asked for the other
    assert "desk:1 drains" in run("workers", "drain", "desk:1").out
    browser = local_client()
    page = browser.get("/workers").text
    assert browser.post(f"/api/v1/workers/{B}/drain").json() == {"draining": "desk:2"}

    # Then each hears it, and again if it was lost; the relay does not
    assert [beat(A, "desk:1"), beat(A, "desk:1"), beat(B, "desk:2"), beat(RELAY, "desk:3", "relay")] == [True] * 3 + [
        False
    ]
    assert page.count(f"/workers/{B}/drain") == 1
    assert f"/workers/{A}/drain" not in page
    assert f"/workers/{RELAY}/drain" not in page
    assert page.count(VERSION) == 3
    rows = {row["name"]: row for row in run("workers", "list", "--format", "json").json()}
    assert [bool(rows[name]["drain_at"]) for name in ("desk:1", "desk:2", "desk:3")] == [True, True, False]
    # and who did it is known
    with reading() as session:
        done = [(row["action"], row["subject"]) for row in audit.listing(session)]
    assert done == [("worker.drain", f"worker/{B}"), ("worker.drain", "worker/desk:1")]


@pytest.mark.parametrize("who", ["desk:3", "nobody"])
def test_a_relay_and_an_unknown_worker_are_not_drained(run: Run, who: str):
    beat(RELAY, "desk:3", "relay")
    result = run("workers", "drain", who)
    assert (result.code, result.out) == (1, "")
    assert f"there is no worker {who}" in result.err
    assert local_client().post(f"/api/v1/workers/{who}/drain").status_code == 404
    with reading() as session:
        assert audit.listing(session) == []
