"""Identities of rows without an id."""

from __future__ import annotations

from datetime import date
from typing import Any

from aura.desk.importing.identity import RowIdentities

ROW = {"subject": "VPN drops", "opened": date(2026, 11, 30), "count": 1}


def identities(*rows: dict[str, Any]) -> list[str]:
    with RowIdentities() as found:
        return [found.of(row) for row in rows]


def test_the_next_import_of_a_file_gives_the_same_identities():
    rows = [ROW, ROW, {**ROW, "count": 2}]

    assert identities(*rows) == identities(*rows)


def test_equal_rows_of_a_file_are_different_tickets():
    first, second, third = identities(ROW, ROW, ROW)

    assert len({first, second, third}) == 3
    assert [each.rpartition(":")[2] for each in (first, second, third)] == ["1", "2", "3"]


def test_the_order_of_columns_does_not_matter_and_every_value_does():
    assert identities(ROW) == identities(dict(reversed(ROW.items())))
    others = [{**ROW, "subject": "VPN drop"}, {**ROW, "extra": ""}, {"subject": ROW["subject"]}, {**ROW, "count": "1"}]
    assert len(set(identities(ROW, *others))) == 5


def test_a_file_without_such_rows_needs_no_database():
    with RowIdentities() as found:
        pass
    assert found._database is None
