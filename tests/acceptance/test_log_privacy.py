"""No text of a ticket, no address and no parameter of a statement is in a log, a span or a Sentry event.

The real processes write while the database raises errors that quote rows: constraints, triggers, read-only sessions.
"""

from __future__ import annotations

import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pika
import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text

from tests.acceptance.conftest import Installation, Program
from tests.services import wait_until

#: In every text, address, number and word that is written; nothing else contains it.
CANARY = "kanarien"
TICKET = {
    "title": f"{CANARY}-title 'quoted' \"twice\"",
    "description": f"my password is {CANARY}-4711 (x)=(y)\nsecond line {CANARY}",
    "requester": f"{CANARY}@vogel.example",
    "department": f"{CANARY} department",
}
#: What makes the database raise an error that quotes the row, and what ends it.
RAISING = (
    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'refused %', NEW::text USING DETAIL = NEW::text, HINT = NEW::text; END $$"
)
FAILURES: dict[str, tuple[str, str]] = {
    "trigger": (
        f"{RAISING}; CREATE TRIGGER refused BEFORE INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION refuse();"
        "CREATE TRIGGER refused BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION refuse();"
        "CREATE TRIGGER refused BEFORE INSERT ON inbound_mails FOR EACH ROW EXECUTE FUNCTION refuse()",
        "DROP TRIGGER refused ON tickets; DROP TRIGGER refused ON comments; DROP TRIGGER refused ON inbound_mails",
    ),
    "constraint": (
        f"ALTER TABLE tickets ADD CONSTRAINT refused CHECK (title NOT LIKE '{CANARY}%') NOT VALID;"
        f"ALTER TABLE comments ADD CONSTRAINT refused CHECK (text NOT LIKE '{CANARY}%') NOT VALID",
        "ALTER TABLE tickets DROP CONSTRAINT refused; ALTER TABLE comments DROP CONSTRAINT refused",
    ),
    "duplicate": (
        "ALTER TABLE tickets ADD COLUMN twice text; CREATE UNIQUE INDEX twice ON tickets ((left(title, 8)))"
        f" WHERE title LIKE '{CANARY}%' AND id > 100000000; DROP INDEX twice;"
        f"CREATE UNIQUE INDEX twice ON comments ((left(text, 8))) WHERE text LIKE '{CANARY}-again%'",
        "DROP INDEX twice; ALTER TABLE tickets DROP COLUMN twice",
    ),
    "syntax": (
        "CREATE OR REPLACE FUNCTION cast_it() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM NEW.title::integer; RETURN NEW; END $$;"
        "CREATE TRIGGER cast_it BEFORE INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION cast_it()",
        "DROP TRIGGER cast_it ON tickets",
    ),
    "worker": (
        f"{RAISING}; CREATE TRIGGER refused BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION refuse();"
        "CREATE TRIGGER refused BEFORE INSERT ON verdicts FOR EACH ROW EXECUTE FUNCTION refuse()",
        "DROP TRIGGER refused ON notifications; DROP TRIGGER refused ON verdicts",
    ),
}


class Desk:
    """The processes, and a client that writes the canary through every entry."""

    def __init__(self, installation: Installation, rabbitmq_url: str) -> None:
        self.installation, self.rabbitmq_url = installation, rabbitmq_url
        scopes = [word for scope in ("submit", "read", "operate") for word in ("--scope", scope)]
        self.key = installation.aura("api-keys", "create", "test", *scopes).stdout.strip()
        self.statuses: list[int] = []

    def send(self, method: str, path: str, body: object = None, kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": kind}
        request = urllib.request.Request(self.installation.url(path), data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                self.statuses.append(answer.status)
        except urllib.error.HTTPError as error:
            self.statuses.append(error.code)
            error.close()

    def write(self, name: str) -> None:
        """Write through every entry."""
        external = {**TICKET, "external_id": f"{CANARY}-{name}"}
        self.send("POST", "/api/v1/tickets", external)
        lines = "\n".join(json.dumps(TICKET) for _ in range(3)).encode()
        self.send("POST", "/api/v1/tickets/bulk", lines, "application/x-ndjson")
        self.send("POST", "/api/v1/tickets/1/comments", {"text": f"{CANARY}-again comment"})
        self.send("POST", "/api/v1/tickets/1/comments", {"text": f"{CANARY}-again comment", CANARY: CANARY})
        self.send("GET", f"/api/v1/tickets?q={CANARY}&status={CANARY}&cursor={CANARY}")
        self.send("GET", f"/tickets?q={CANARY}:x")
        self.send("POST", f"/api/v1/workers/{CANARY}/drain")
        self.send("POST", "/api/v1/tickets", f'{{"title": "{CANARY}'.encode())
        with pika.BlockingConnection(pika.URLParameters(self.rabbitmq_url)) as connection:
            channel = connection.channel()
            for body in (json.dumps(external).encode(), f'{{"title": "{CANARY}'.encode(), b"\xff" + CANARY.encode()):
                channel.basic_publish("tickets", "ticket.created", body)

    def execute(self, statements: str) -> None:
        with self.installation.engine.begin() as connection:
            for each in statements.split(";") if "$$" not in statements else split_functions(statements):
                if each.strip():
                    connection.exec_driver_sql(each.replace("%", "%%"))


def split_functions(statements: str) -> list[str]:
    """Split statements at semicolons outside $$."""
    parts = statements.split("$$")
    joined = "".join(part.replace(";", "\0") if at % 2 == 0 else f"$${part}$$" for at, part in enumerate(parts))
    return joined.split("\0")


@pytest.fixture
def sink(httpserver: HTTPServer) -> Callable[[], list[bytes]]:
    """Sentry: a real HTTP server; the function returns the bodies that arrived."""
    httpserver.expect_request("/api/7/envelope/", method="POST").respond_with_json({})

    def bodies() -> list[bytes]:
        raw = [each.get_data() for each, _ in httpserver.log]
        return [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in raw]

    return bodies


@pytest.fixture(params=["json", "pretty"])
def desk(
    request: pytest.FixtureRequest,
    service_installation: Installation,
    httpserver: HTTPServer,
    rabbitmq_url: str,
) -> Desk:
    installation = service_installation
    installation.variables |= {
        "LOG_FORMAT": request.param,
        "LOG_LEVEL": "DEBUG",
        "SENTRY_DSN": httpserver.url_for("/7").replace("//", "//key@"),
        "AURA_TRACES": "console",
        "AURA_ACCESS_LOG": "true",
        "WORKER_PROCESSES": "1",
        "WORKER_THREADS": "2",
    }
    return Desk(installation, rabbitmq_url)


def stop(program: Program) -> str:
    assert program.process is not None
    program.process.terminate()
    program.process.wait(40)
    return program.output()


def test_no_output_contains_a_text_of_a_ticket(desk: Desk, sink: Callable[[], list[bytes]]) -> None:
    installation = desk.installation
    programs = [installation.procfile(name) for name in ("web", "worker", "scheduler")]
    installation.wait_until_ready()
    desk.write("calm")
    wait_until(lambda: installation.scalar("SELECT count(*) FROM notifications") > 0, 60, "the worker does nothing")

    # When the database raises errors that quote rows
    for name, (begin, end) in FAILURES.items():
        desk.execute(begin)
        desk.write(name)
        if name == "worker":
            wait_until(
                lambda: installation.scalar("SELECT count(*) FROM jobs WHERE last_error <> ''") > 0, 30, "no job fails"
            )
        desk.execute(end)
    database = installation.scalar("SELECT current_database()")
    desk.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with installation.engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    desk.write("read only")
    wait_until(lambda: any(status >= 500 for status in desk.statuses), 20, "no request fails")
    outputs = {program.name: stop(program) for program in programs}

    # Then the errors are reported, without the row
    assert {500, 202} <= set(desk.statuses)
    events = sink()
    assert events, "no error reached Sentry"
    assert any(b"RaiseException" in body for body in events), "the error of the web process, too"
    for name, output in outputs.items():
        lines = [line for line in output.splitlines() if CANARY in line.lower()]
        assert lines == [], f"{name}: {lines[0][:2000]}"
    assert [body[:2000] for body in events if CANARY.encode() in body.lower()] == []
    if installation.variables["LOG_FORMAT"] == "json":
        for name, output in outputs.items():
            other = [line[:300] for line in output.splitlines() if line.strip() and not is_json(line)]
            assert other == [], name
    assert '"GET", "route"' in outputs["web"] or "route" in outputs["web"], "the access log"


def is_json(line: str) -> bool:
    try:
        value: Any = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict)
