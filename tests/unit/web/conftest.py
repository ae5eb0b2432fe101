"""Fixtures of the web tests: a program's client and a browser's client, both on this machine."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.unit.web.clients import local_client


@pytest.fixture
def web(database: str) -> TestClient:
    """A program."""
    return local_client()


@pytest.fixture
def browser(database: str) -> TestClient:
    """A browser, which does not follow redirects by itself."""
    client = local_client(Accept="text/html")
    client.follow_redirects = False
    return client
