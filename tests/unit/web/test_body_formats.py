"""Formats of bodies: 415 for a compressed body, another charset or another media type."""

from __future__ import annotations

import gzip
import json

import pytest
from fastapi.testclient import TestClient

from db.models import Ticket
from tests.embedded import count
from tests.unit.web.clients import create_ticket, submit

BODY = json.dumps({"title": "Größe der Platte"})
PATHS = ("/tickets", "/api/v1/tickets", "/api/v1/tickets/bulk")


@pytest.mark.parametrize("path", [*PATHS, "/api/v1/queues/ai.classify/pause", "/api/v1/mail"])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate", "x-unknown", "identity, gzip"])
def test_a_compressed_body_gets_415_with_the_accepted_encoding(web: TestClient, path: str, coding: str):
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = web.post(path, content=gzip.compress(BODY.encode()), headers=headers)

    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Content-Encoding" in answer.json()["detail"]
    assert count(Ticket) == 0


@pytest.mark.parametrize("path", ["/tickets", "/api/v1/tickets"])
@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 202),
        ("Application/JSON; Charset=UTF-8", 202),
        ('application/json;charset="utf-8"', 202),
        ("application/json; charset=us-ascii", 202),
        ("application/merge-patch+json", 202),
        (None, 202),
        ("application/json; charset=iso-8859-1", 415),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("text/xml", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("nonsense", 415),
    ],
)
def test_the_media_type_of_a_new_ticket_is_json_or_missing(
    web: TestClient, path: str, media_type: str | None, status: int
):
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = web.post(path, content=BODY.encode(), headers=headers)

    assert answer.status_code == status
    assert count(Ticket) == (status == 202)
    if status == 415:
        assert answer.headers["Accept"] == "application/json"
        assert "Content-Type" in answer.json()["detail"]


def test_a_body_that_a_route_parses_by_its_model_follows_the_same_rules(web: TestClient):
    path, body = f"/api/v1/tickets/{create_ticket()}/comments", b'{"text": "It works."}'

    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        answer = web.post(path, content=body, headers={"Content-Type": media_type})
        assert (answer.status_code, answer.headers["Accept"]) == (415, "application/json")
    assert web.post(path, content=body).status_code == 201
    assert web.post(path, content=b"text=1", headers={"Content-Type": "application/json"}).status_code == 422
    assert web.post(path, content=b"").status_code == 422


@pytest.mark.parametrize(("media_type", "status"), [("application/jsonl", 200), ("", 200), ("text/csv", 415)])
def test_lines_are_json_lines(web: TestClient, media_type: str, status: int):
    headers = {"Content-Type": media_type} if media_type else {}
    answer = web.post("/api/v1/tickets/bulk", content=BODY.encode(), headers=headers)

    assert (answer.status_code, count(Ticket)) == (status, status == 200)


def test_a_form_of_a_page_is_read(browser: TestClient):
    assert submit(browser, f"/tickets/{create_ticket()}/comment", text="Grüße") == "Internal note added."
