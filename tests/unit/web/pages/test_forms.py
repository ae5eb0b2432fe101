"""Parsing of HTML forms."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    "body", [b"\xff\xfe=1", b"&".join(b"a%d=1" % n for n in range(60))], ids=["not UTF-8", "too many"]
)
def test_a_body_that_is_no_form_gets_422(browser: TestClient, body: bytes):
    answer = browser.post("/tickets/new", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 422
