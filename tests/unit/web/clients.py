"""Clients of the web application for its tests, and the rows that they need."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from aura.jobs.process_state import WORKER_ID
from db import api_keys, jobs, passwords, reading, transaction, users
from db.api_keys import SCOPES
from db.jobs import Failure, NewJob
from db.models import ApiKey, AuditEntry, Ticket
from db.new_tickets import NewTicket
from db.tickets import create
from pipelines.triage import triage
from tests.access import KEY
from tests.embedded import all_jobs, enqueue, letters, web_app

#: The body of a new ticket.
TICKET = {"title": "VPN drops", "requester": "ada@example.com"}
PASSWORD = "correct horse battery"
#: The password hasher of production, which is slow by design.
HASHER = passwords._hasher
#: A text that must not be in a page as it was typed.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*191}}\u202e\u2066"


def remote_client(
    app: FastAPI | None = None, url: str = "https://aura.example.com", address: str = "192.0.2.7", **headers: str
) -> TestClient:
    """Return a client on another machine."""
    return TestClient(app or web_app(), url, False, client=(address, 50000), headers=headers)


def anonymous_client(app: FastAPI | None = None, **headers: str) -> TestClient:
    """Return a client on this machine without an API key."""
    return remote_client(app, "http://127.0.0.1:8000", "127.0.0.1", **headers)


def local_client(app: FastAPI | None = None, **headers: str) -> TestClient:
    """Return a client on this machine with the key "local", which has all scopes."""
    return anonymous_client(app, **{"Authorization": f"Bearer {local_key()}"} | headers)


def local_key() -> str:
    """Return the key "local" of the test's database, which is created at the first call."""
    with transaction() as session:
        if not session.scalar(select(ApiKey.id).where(ApiKey.digest == api_keys.digest(KEY))):
            session.add(ApiKey(name="local", digest=api_keys.digest(KEY), hint="aura_local", scopes=list(SCOPES)))
    return KEY


def create_key(*scopes: str, name: str = "test") -> str:
    with transaction() as session:
        return api_keys.create(session, name, scopes)[1]


def create_user(role: str, name: str = "") -> str:
    with transaction() as session:
        users.create(session, name or role, PASSWORD, role)
    return name or role


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> Any:
    return client.post("/api/v1/login", json={"name": name, "password": password})


def audit_entries() -> list[tuple[str, str, str]]:
    with reading() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.who, row.action, row.subject) for row in rows]


def create_ticket(**fields: Any) -> int:
    """Create a ticket with hostile text and start its triage. Returns its id."""
    with transaction() as session:
        [ticket_id] = create(
            session, "test", [(NewTicket(title=HOSTILE, description=HOSTILE, requester="ada@example.com"), {})]
        )
        if fields:
            session.execute(update(Ticket).where(Ticket.id == ticket_id).values(**fields))
        triage.send(ticket_id)
    return ticket_id


def stored_ticket(ticket_id: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, ticket_id)


def create_dead_letter(error: str = HOSTILE) -> int:
    """Create a job of classify and dead-letter it. Returns the dead letter's id."""
    enqueue(NewJob("classify", "17"))
    with transaction() as session:
        claimed = jobs.claim(session, "classify", [all_jobs()[-1].id], "lease", WORKER_ID)
        jobs.dead_letter(session, [(each, Failure("Boom", error, error, "f" * 12)) for each in claimed])
    return letters()[-1].id


def submit(browser: TestClient, path: str, **fields: str) -> str:
    """Submit a form. Returns the message of the page that follows."""
    answer = browser.post(path, data=fields)
    assert answer.status_code == 303, answer.text
    page = browser.get(answer.headers["Location"])
    assert page.status_code == 200
    message = re.search(r'<p class="notice good" role="status"><bdi>(.*?)</bdi>', page.text)
    assert message is not None
    return message[1]
