"""Export of tickets as CSV."""

from __future__ import annotations

import csv
import io

from fastapi.testclient import TestClient

from aura.desk.csv_cells import safe_cell
from tests.unit.web.clients import HOSTILE, create_ticket


def test_no_cell_of_the_csv_is_a_formula(browser: TestClient):
    formulas = [f"{begins}cmd|' /C calc'!A0" for begins in ("=", "+", "-", "@", "  =", "\t=", "＝")]
    numbers = [create_ticket(assignee=formula, department='a "quoted", two-line\nroom') for formula in formulas]
    create_ticket(status="closed")
    answer = browser.get("/tickets.csv", params={"q": "is:open"})

    assert answer.headers["Content-Disposition"] == 'attachment; filename="tickets.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert [(row["id"], row["assignee"]) for row in reversed(rows)] == [
        (str(number), safe_cell(formula)) for number, formula in zip(numbers, formulas, strict=True)
    ]
    assert all(row["assignee"].startswith("'") for row in rows)
    assert {(row["department"], row["title"]) for row in rows} == {('a "quoted", two-line\nroom', HOSTILE)}
    assert browser.get("/tickets.csv?q=nope:x").status_code == 422
