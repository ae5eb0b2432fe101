"""Rolling upgrade: this version migrates and starts beside the last release, which keeps working, while tickets arrive.

tests/data/aura-VERSION.tar.xz holds the last release (`make release-archive`), because a clone may be shallow. This version runs
from a copy with one revision more, so that there is always a migration.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from db.migrate import config
from tests.acceptance.conftest import Installation, Mailbox, Program
from tests.chaos.driver import Driver
from tests.conftest import ROOT, wait_until
from tests.release_archive import write
from tests.services import tree

#: Finished tickets in the tables, and tickets that are created during the upgrade; `make chaos` takes a million.
ROWS = int(os.environ.get("CHAOS_UPGRADE_ROWS", "20000"))
TICKETS = int(os.environ.get("CHAOS_UPGRADE_TICKETS", "60"))
#: Rows of a release in use; {n} is the number of tickets.
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
    """INSERT INTO notifications (id, dedupe_key, ticket_id, event, channel, recipient, role, state, subject, body,
           provider_id, created_at)
       SELECT md5(id::text), id::text, id, 'ticket.classified', 'in_app', requester, 'requester', 'sent', title, 'Hello',
           '', created_at FROM tickets""",
)
#: A migration as a release may contain it: a column with a default, and an index that is built concurrently.
REVISION = '''"""A column and an index for the test of the upgrade."""

import sqlalchemy as sa
from alembic import op

from db.migrations.online import create_index

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("tickets", sa.Column("upgraded", sa.Boolean(), server_default=sa.true(), nullable=False))
    create_index("ix_tickets_upgraded", "tickets", ["upgraded", "id"])
'''
UPGRADED = (
    "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('ix_tickets_upgraded') AND indisvalid",
    "SELECT count(*) FROM tickets WHERE NOT upgraded",
)


def last_release(folder: Path) -> Path:
    """Unpack the archive of the last release and return its root."""
    (archive,) = (ROOT / "tests" / "data").glob("aura-*.tar.xz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.xz")


def this_version(folder: Path) -> Path:
    """Copy this version, add REVISION, and return the root of the copy."""
    root = folder / "this-version"
    for name in ("actors", "aura", "db", "pipelines"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Procfile", root)
    head = ScriptDirectory.from_config(config()).get_current_head()
    (root / "db" / "migrations" / "versions" / "9999_upgrade.py").write_text(REVISION.format(head=head))
    return root


@pytest.fixture
def versions(
    tmp_path: Path, rabbitmq_url: str, postgres_url: str, redis_url: str, mailbox: Mailbox
) -> Iterator[tuple[Installation, Installation]]:
    """The last release and this version, on the same services."""
    variables = {"RABBITMQ_URL": rabbitmq_url, "DATABASE_URL": postgres_url, "REDIS_URL": redis_url}
    variables |= {"SMTP_URL": mailbox.url, "WORKER_PROCESSES": "1", "WORKER_THREADS": "4"}
    # the tickets are similar, and each shall be notified by itself
    variables |= {"AURA_INCIDENT_TICKETS": "1000000"}
    systems = []
    for name, root in (("old", last_release(tmp_path)), ("new", this_version(tmp_path))):
        (tmp_path / name).mkdir()
        systems.append(Installation(tmp_path / name, dict(variables), root))
    yield systems[0], systems[1]
    for system in systems:
        system.close()


def has_completed_a_job(system: Installation, program: Program) -> bool:
    """Return whether a worker process of this command has completed a job."""
    assert program.process is not None
    pids = {str(pid) for pid in tree(program.process.pid)}
    ids = [worker for worker, name in system.rows("SELECT id, name FROM workers") if name.rpartition(":")[2] in pids]
    completed = "SELECT count(*) FROM attempts WHERE outcome = 'completed' AND worker = ANY(:ids)"
    return bool(system.scalar(completed, ids=ids))


def test_a_rolling_upgrade_loses_no_ticket_and_blocks_no_request(versions: tuple[Installation, Installation]) -> None:
    old, new = versions
    # Given the last release with full tables, at work
    old.aura("migrate")
    with old.engine.begin() as connection:
        for statement in FILL:
            connection.execute(text(statement.format(n=ROWS)))
    programs = [old.procfile("worker"), old.procfile("web")]
    old.wait_until_ready()
    drivers = [Driver(old.port, TICKETS, seconds=TICKETS / 10).start()]
    wait_until(lambda: drivers[0].accepted, 90, "the release accepts no ticket")

    # When this version migrates the tables, as its release process does
    new.aura("migrate")
    print(f"slowest response during the migration of {ROWS:,} tickets: {drivers[0].slowest:.2f} s")
    # a busy machine may refuse tickets for a second, with a time to try again, but each request has its answer
    assert 0 not in {status for _, status in drivers[0].answers}, "a request was not answered"
    assert not drivers[0].without_retry_after
    assert [new.scalar(query) for query in UPGRADED] == [1, 0]

    # And starts beside the release, and accepts tickets too
    worker = new.procfile("worker")
    worker.wait_for_output("Worker process is ready")
    new.procfile("web")
    new.wait_until_ready()
    drivers.append(Driver(new.port, TICKETS, seconds=TICKETS / 10, first=TICKETS + 1).start())
    for driver in drivers:
        driver.finish(900)

    def both_work() -> bool:
        drivers.append(Driver(new.port, 1, first=10**6 + len(drivers)).start().finish(100))
        return has_completed_a_job(new, programs[0]) and has_completed_a_job(new, worker)

    wait_until(both_work, 180, "only one of the versions completes jobs")
    # And the release is stopped while tickets arrive
    drivers.append(Driver(new.port, TICKETS // 3, seconds=1, first=2 * TICKETS + 1).start())
    for program in programs:
        program.terminate()
    new.procfile("scheduler")
    drivers[-1].finish(120)

    # Then every request was answered, every ticket is finished, and no step was completed twice
    assert [(driver.unknown, driver.refused) for driver in drivers] == [(set(), {})] * len(drivers)
    new.wait_until_notified(ROWS + sum(len(driver.numbers) for driver in drivers), 240)
    new.check_each_once()


def test_the_archive_of_a_commit_is_reproducible_and_contains_the_packages(tmp_path: Path) -> None:
    first = write("HEAD", tmp_path).read_bytes()
    path = write("HEAD", tmp_path)

    assert path.read_bytes() == first
    with tarfile.open(path) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"Procfile", "aura/__main__.py", "db/migrations/online.py", "actors/__init__.py"} <= names
    assert not any(name.startswith(("tests/", "docs/", "aura/ai/training/data/")) for name in names)
