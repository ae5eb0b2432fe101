"""The probe of writing commits a row and leaves none, also not those of processes that died in between."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from db import transaction
from db.models import WriteProbe
from db.time import from_now
from db.write_probe import LEFT_AFTER, probe
from tests.embedded import count

pytestmark = pytest.mark.usefixtures("database")


def test_a_probe_leaves_no_row_and_deletes_those_that_others_left():
    with transaction() as session:
        for key, age in (("old", LEFT_AFTER + 1), ("young", 0.0)):
            session.execute(insert(WriteProbe).values(id=key, at=from_now(-age), filler=b""))

    probe()

    assert count(WriteProbe) == 1, "another process is at work on the young one"
