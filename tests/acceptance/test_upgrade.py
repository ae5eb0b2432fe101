"""A new version is rolled out over the last release, which works on, while tickets come in and the tables are full.

The last release ships with the tests, since a clone may be shallow: tests/data/aura-VERSION.tar.xz, see CONTRIBUTING.md.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.acceptance.conftest import House, Mailbox, Program
from tests.chaos.driver import Driver
from tests.conftest import ROOT, wait_until
from tests.services import tree

#: Finished tickets in the tables, and tickets that come in; `make chaos` takes a million.
ROWS = int(os.environ.get("CHAOS_UPGRADE_ROWS", "20000"))
TICKETS = int(os.environ.get("CHAOS_UPGRADE_TICKETS", "60"))
#: What the release of the archive has in its tables after a while; {n} is how many tickets.
FILL = (
    """INSERT INTO tickets (source, raw, title, description, requester, department, language, category, category_by, priority,
           priority_by, confidence, status, assignee, stage, notified_version, created_at, classified_at, notified_at)
       SELECT 'http', '{{}}', 'VPN drops ' || n, 'Nobody reaches the server in building ' || n, 'p' || n || '@example.com',
           'D' || n, 'en', 'Network', 'engine', 'low', 'engine', 0.9, 'closed', 'Agent ' || n, 'notified', 1, at, at, at
       FROM (SELECT n, now() - interval '2 days' AS at FROM generate_series(1, {n}) AS n) AS numbered""",
    """INSERT INTO verdicts (ticket_id, engine, model, prompt_version, category, confidence, priority, priority_confidence,
           reason, needs_review, fallback, input_tokens, output_tokens, latency_ms, created_at)
       SELECT id, 'local', 'shipped', '', 'Network', 0.9, 'low', 0.8, 'Because of "VPN"', false, '', 0, 0, 1, created_at
       FROM tickets""",
    """INSERT INTO attempts (job_id, actor, key, pipeline, number, worker, outcome, seconds, created_at)
       SELECT id * 3 + place, actor, id::text, 'triage', 1, 'w', 'completed', 0.01, created_at
       FROM tickets, unnest(ARRAY['intake', 'classify', 'notify']) WITH ORDINALITY AS steps (actor, place)""",
    """INSERT INTO notifications (id, dedupe_key, ticket_id, event, channel, recipient, role, state, subject, body, html,
           provider_id, created_at)
       SELECT md5(id::text), id::text, id, 'ticket.classified', 'in_app', requester, 'requester', 'sent', title, 'Hello', '',
           '', created_at FROM tickets""",
)


@pytest.fixture
def versions(
    tmp_path: Path, rabbitmq_url: str, postgres_url: str, redis_url: str, mailbox: Mailbox
) -> Iterator[tuple[House, House]]:
    """The last release and this version, on the same services."""
    (archive,) = (ROOT / "tests" / "data").glob("aura-*.tar.xz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    release = tmp_path / archive.name.removesuffix(".tar.xz")
    variables = {"RABBITMQ_URL": rabbitmq_url, "DATABASE_URL": postgres_url, "REDIS_URL": redis_url}
    variables |= {"SMTP_URL": mailbox.url, "WORKER_PROCESSES": "1", "WORKER_THREADS": "4"}
    # the tickets are all alike, and each is to be told of by itself
    variables |= {"AURA_INCIDENT_TICKETS": "1000000"}
    houses = []
    for name, root in (("old", release), ("new", ROOT)):
        (tmp_path / name).mkdir()
        houses.append(House(tmp_path / name, dict(variables), root))
    yield houses[0], houses[1]
    for house in houses:
        house.close()


def kept(house: House, program: Program) -> bool:
    """Return whether this worker command has kept a step."""
    assert program.process is not None
    ours = {str(pid) for pid in tree(program.process.pid)}
    ids = [worker for worker, name in house.rows("SELECT id, name FROM workers") if name.rpartition(":")[2] in ours]
    return bool(house.ask("SELECT count(*) FROM attempts WHERE outcome = 'completed' AND worker = ANY(:ids)", ids=ids))


def test_an_upgrade_loses_nothing_and_nobody_waits_for_the_migrations(versions: tuple[House, House]) -> None:
    old, new = versions
    # Given the last release with full tables, at work
    old.aura("migrate")
    with old.engine.begin() as connection:
        for statement in FILL:
            connection.execute(text(statement.format(n=ROWS)))
    programs = [old.procfile("worker"), old.procfile("web")]
    old.serves()
    drivers = [Driver(old.port, TICKETS, seconds=TICKETS / 10).start()]
    wait_until(lambda: drivers[0].accepted, 30, "the release accepts no ticket")

    # When the tables are migrated under it, as its release process does
    new.aura("migrate")
    migrated = drivers[0].slowest
    print(f"the slowest answer while {ROWS:,} tickets were migrated took {migrated:.2f} s")
    assert not drivers[0].again, "somebody was not answered and had to ask again"

    # And this version starts beside it, and takes tickets too
    worker = new.procfile("worker")
    worker.says("Worker process is ready")
    new.procfile("web")
    new.serves()
    drivers.append(Driver(new.port, TICKETS, seconds=TICKETS / 10, first=TICKETS + 1).start())
    for driver in drivers:
        driver.finish(900)

    def both_work() -> bool:
        drivers.append(Driver(new.port, 1, first=10**6 + len(drivers)).start().finish(30))
        return kept(new, programs[0]) and kept(new, worker)

    wait_until(both_work, 60, "only one version works")
    # And the release is stopped in the middle of new tickets
    drivers.append(Driver(new.port, TICKETS // 3, seconds=1, first=2 * TICKETS + 1).start())
    for program in programs:
        program.terminate()
    new.procfile("scheduler")
    drivers[-1].finish(60)

    # Then every request was answered, every ticket is finished, and no step was done twice
    assert [(driver.unknown, driver.refused) for driver in drivers] == [(set(), {})] * len(drivers)
    new.finished(ROWS + sum(len(driver.numbers) for driver in drivers), 120)
    new.each_once()
