"""The age of data from the read replica: in the header of a response that read it, and in no other."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient

from aura.web.data_age import HEADER, DataAge, data_age
from db import replica


def _client() -> TestClient:
    app = FastAPI()
    app.add_middleware(DataAge)

    @app.get("/replica")
    def _read() -> int | None:  # in a thread, with a copy of the context
        replica.note(0.2)
        replica.note(3.1)
        return data_age()

    @app.get("/primary")
    def _read_primary() -> int | None:
        return data_age()

    return TestClient(app)


def test_a_response_names_the_age_of_its_oldest_data_in_whole_seconds():
    answer = _client().get("/replica")

    assert (answer.json(), answer.headers[HEADER]) == (4, "4")


def test_a_response_from_the_primary_names_no_age_even_after_another_request():
    client = _client()
    client.get("/replica")

    answer = client.get("/primary")
    assert (answer.json(), HEADER in answer.headers) == (None, False)


def test_without_a_request_nothing_is_noted():
    replica.note(1.0)

    assert data_age() is None
