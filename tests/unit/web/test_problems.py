"""Error responses: problem documents for programs, pages for browsers."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

import actors
import aura
import db
import pipelines
from aura.errors import (
    AuraError,
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidInput,
    JobError,
    NotFound,
    Overloaded,
    TooManyRequests,
)
from aura.web.problems import INTERNAL, PHRASES, STATUS_OF, status_of
from db import queue_controls
from db.database import dispose
from tests.access import AUTHORIZATION
from tests.services import free_port
from tests.unit.web.clients import TICKET, anonymous_client


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tickets/999", 404),
        ("/tickets/0", 404),
        ("/tickets/-1", 404),
        (f"/tickets/{2**63}", 404),
        ("/tickets/1' OR '1'='1", 422),
        ("/nothing", 404),
    ],
)
def test_a_missing_ticket_or_route_is_a_problem_document(web: TestClient, path: str, status: int):
    answer = web.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "OR" not in answer.text


def test_a_wrong_method_names_the_allowed_ones(web: TestClient):
    form, ticket, style = web.put("/tickets/new", json=TICKET), web.delete("/tickets/1"), web.post("/static/aura.css")

    assert [answer.status_code for answer in (form, ticket, style)] == [405, 405, 405]
    assert form.headers["Allow"] == "GET, HEAD, POST"  # of both routes of the path
    assert ticket.headers["Allow"] == style.headers["Allow"] == "GET, HEAD"


def test_without_a_database_no_ticket_is_accepted(configure: Any):
    configure(DATABASE_URL=f"postgresql://nobody:hunter2@127.0.0.1:{free_port()}/aura")
    try:
        answer = anonymous_client(**AUTHORIZATION).post("/tickets", json=TICKET)
        ready = anonymous_client().get("/health/ready")
    finally:
        dispose()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "the database does not answer; nothing was stored, so send the request again"
    assert ready.status_code == 503
    assert "hunter2" not in answer.text + ready.text


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("", {}, Exception("gone")), 503), (ZeroDivisionError(), 500)]
)
def test_an_unexpected_error_is_answered_without_its_details(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
):
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(queue_controls, "list_jobs", broken)
    page, problem = browser.get("/jobs"), browser.get("/api/v1/jobs")

    assert page.status_code == problem.status_code == status
    assert "<nav" in page.text and "gone" not in page.text and "ZeroDivision" not in page.text
    assert problem.json()["status"] == status
    for answer in (page, problem):
        assert "frame-ancestors" in answer.headers["Content-Security-Policy"]
        # uvicorn closes the connection after an error that reaches it
        assert answer.headers.get("Connection") == ("close" if status == 500 else None)
        assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)


def subclasses(kind: type[AuraError]) -> Iterator[type[AuraError]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_every_error_has_a_status_of_its_own_base_class():
    for package in (actors, aura, db, pipelines):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations." not in module.name:
                importlib.import_module(module.name)

    errors = set(subclasses(AuraError))

    assert len(errors) > 40
    # the status of AuraError itself is that of an error without a base class for the web
    undecided = [each for each in errors if not issubclass(each, tuple(set(STATUS_OF) - {AuraError}))]
    assert [each.__name__ for each in undecided if each.__module__ != "aura.errors"] == []
    assert {status_of(each) for each in errors} <= PHRASES.keys()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("no printer 7"), 404),
        (InvalidInput("size: must be A4"), 422),
        (Conflict("it prints"), 409),
        (Forbidden("not yours"), 403),
        (TooManyRequests("slow down", retry_after=2.2), 429),
        (Overloaded("full", retry_after=1), 503),
        (ConfigurationError("SECRET_TONER is wrong"), 500),
        (JobError("toner"), 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_answered_by_its_class(
    web: TestClient, monkeypatch: pytest.MonkeyPatch, error: AuraError, status: int
):
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(queue_controls, "list_jobs", fail)
    answer = web.get("/api/v1/jobs")

    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert (problem["type"], problem["title"]) == ("about:blank", PHRASES[status][0])
    assert problem["detail"] == (INTERNAL if status == 500 else str(error))
    assert answer.headers.get("Retry-After") == {429: "3", 503: "1"}.get(status)


def test_a_missing_object_names_the_route_that_lists_its_kind(web: TestClient):
    worker = web.post("/api/v1/workers/nope/drain").json()["detail"]
    letter = web.get("/api/v1/dead-letters/4711").json()["detail"]

    assert worker.endswith("; GET /api/v1/workers lists the workers")
    assert letter.endswith("; GET /api/v1/dead-letters lists the dead letters")
    assert "GET" not in web.get("/api/v1/notifications?recipient=ada&cursor=x").json()["detail"]


def test_a_body_without_a_content_type_is_json(web: TestClient):
    answer = web.post("/api/v1/queues/ai.classify/pause", content=b'{"reason": "a test"}')

    assert (answer.status_code, answer.json()["paused"]) == (200, True)


def test_a_json_body_of_the_wrong_type_is_an_error_of_the_body(web: TestClient):
    answer = web.post("/api/v1/queues/ai.classify/pause", json="a test")

    assert answer.status_code == 422
    assert "Content-Type" not in answer.json()["detail"]
