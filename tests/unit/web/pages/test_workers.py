"""The page of workers."""

from __future__ import annotations

import pytest

from db import audit, reading
from tests.commands import Run
from tests.unit.web.clients import local_client
from tests.unit.workers import A, beat

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_worker_is_drained_by_the_button_of_the_page(run: Run):
    beat(A, "desk:1")
    browser = local_client()
    token = browser.get("/api/v1/session").json().get("csrf", "")
    answer = browser.post(f"/workers/{A}/drain", data={"csrf": token}, follow_redirects=False)
    assert (answer.status_code, beat(A, "desk:1")) == (303, True)
    with reading() as session:
        assert [row["action"] for row in audit.listing(session)] == ["worker.drain"]
