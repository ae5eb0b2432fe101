"""Liveness and readiness."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from db import transaction
from db.database import dispose
from db.models import IdempotencyKey
from tests.services import free_port
from tests.unit.web.clients import local_client


def test_liveness_does_not_depend_on_the_database(configure: Any):
    configure(DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/aura")

    assert local_client().get("/health/live").json() == {"status": "alive"}


def test_readiness_with_a_migrated_database(web: TestClient):
    answer = web.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_readiness_without_tables(database_url: str, configure: Any):
    configure(DATABASE_URL=database_url)
    try:
        answer = local_client().get("/health/ready")
    finally:
        dispose()

    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert "revision none" in answer.json()["database"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_readiness_does_not_wait_for_a_writer(web: TestClient):
    with transaction() as session:
        session.add(IdempotencyKey(key="k", fingerprint="", ticket_id=1))
        session.flush()
        assert web.get("/health/ready").status_code == 200
