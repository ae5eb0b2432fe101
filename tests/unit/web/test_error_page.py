"""Errors as a page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    ("path", "status", "says"), [("/nowhere", 404, "Page not found"), ("/tickets/x", 422, "Invalid input")]
)
def test_an_error_is_a_page_for_a_browser_and_a_problem_for_a_program(
    browser: TestClient, path: str, status: int, says: str
):
    page, problem = (
        browser.get(path, headers={"Referer": "http://127.0.0.1:8000/jobs?state=queued"}),
        browser.get(path, headers={"Accept": "*/*"}),
    )

    assert page.status_code == problem.status_code == status
    assert f"<h1>{says}</h1>" in page.text and 'href="/jobs?state=queued"' in page.text
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert browser.get("/api/v1/tickets/999").json()["status"] == 404, "an API answers programs, whoever asks"
