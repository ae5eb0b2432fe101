"""The fence on real servers: a promoted standby gives no number twice, and promotions, restores and clocks are noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from aura.web.database_health import READ_ONLY, check_database, check_failover
from db import fence, jobs, reading, tickets, transaction
from db.database import dispose, engine, make_engine
from db.migrate import migrate
from db.new_tickets import NewTicket
from tests.conftest import wait_until
from tests.postgresql_servers import Standby, scalar, session
from tests.services import PostgreSQL, free_port
from tests.unit.jobs.shelf import Shelf, relay


@pytest.fixture
def pair(configure: Callable[..., Any]) -> Iterator[tuple[PostgreSQL, Standby]]:
    """A primary with migrated tables and its standby, named by one URL with both hosts."""
    with PostgreSQL() as primary, Standby(primary) as standby:
        configure(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres")
        migrate()
        yield primary, standby
        dispose()


@pytest.fixture
def migrated(postgresql: PostgreSQL, configure: Callable[..., Any]) -> Iterator[str]:
    url = postgresql.start().create_database()
    configure(DATABASE_URL=url)
    migrate()
    with transaction() as writing:
        fence.beat(writing)
    new_process()
    yield url
    dispose()
    postgresql.drop_database(url)


def create(number: int) -> list[int]:
    payload = {"title": "Printer jams", "requester": "ada@example.com"}
    with transaction() as writing:
        new = [(NewTicket.model_validate(payload), payload) for _ in range(number)]
        return list(tickets.create(writing, "http", new))


def events() -> list[str]:
    with reading() as found:
        return [action for _, action, _ in fence.events(found, 3600)]


def new_process() -> None:
    """Forget what this process knows of the database."""
    dispose()
    fence.forget()


def test_a_promoted_standby_that_lagged_gives_no_number_twice_and_doctor_names_it(pair: tuple[PostgreSQL, Standby]):
    primary, standby = pair
    with transaction() as writing:
        fence.beat(writing)
    given = create(5)
    wait_until(standby.caught_up, 20, "the standby receives everything")
    assert check_failover().detail.startswith("none")
    standby.hold()
    given += create(150)  # on the primary alone

    primary.kill()
    standby.promote()
    after = create(20)

    assert min(after) > max(given)
    assert len(set(after) | set(given)) == 175
    assert events() == [fence.PROMOTED]
    found = check_failover()
    assert found.ok
    assert "a standby was promoted" in found.detail
    assert create(1) == [after[-1] + 1], "numbers are skipped once"


def test_a_standby_is_read_only_for_doctor_until_it_is_promoted(
    pair: tuple[PostgreSQL, Standby], configure: Callable[..., Any]
):
    _primary, standby = pair
    wait_until(standby.caught_up, 20, "the standby receives everything")
    dispose()
    configure(DATABASE_URL=standby.url)

    found = check_database()
    assert (found.ok, found.code) == (False, READ_ONLY)
    assert "standby" in found.detail
    dispose()
    configure(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{free_port()},127.0.0.1:{standby.port}/postgres")
    assert check_database().code == READ_ONLY
    dispose()
    configure(DATABASE_URL=standby.url)

    standby.promote()
    assert check_database().ok


def test_two_processes_at_once_skip_numbers_once(migrated: str):
    create(1)
    with session(migrated) as cursor:
        cursor.execute("UPDATE database_fence SET timeline = '0000000F'")
    new_process()
    engines = [make_engine(migrated.replace("postgresql:", "postgresql+psycopg2:"), 1) for _ in range(6)]

    with ThreadPoolExecutor(6) as pool:
        for connection in pool.map(lambda each: each.connect(), engines):
            connection.close()

    assert events() == [fence.PROMOTED]
    for each in engines:
        each.dispose()


def test_a_database_that_was_restored_elsewhere_or_put_back_is_noticed(migrated: str):
    with transaction() as writing:
        fence.beat(writing)
    with session(migrated) as cursor:
        cursor.execute("UPDATE database_fence SET system = '1'")
    new_process()
    assert events() == [fence.RESTORED]

    for _ in range(3):
        with transaction() as writing:
            fence.beat(writing)
    with session(migrated) as cursor:  # as a snapshot of the disk does
        cursor.execute("UPDATE database_fence SET beat = beat - 2")
    with transaction() as writing:
        fence.beat(writing)
    assert events() == [fence.WENT_BACK, fence.RESTORED]


def test_a_clock_that_went_back_is_noticed_once_and_due_times_are_corrected(migrated: str):
    maintenance = relay(Shelf()).maintenance
    with transaction() as writing:
        jobs.enqueue(writing, [jobs.NewJob("classify", "1")])
    with session(migrated) as cursor:
        cursor.execute("UPDATE database_fence SET beaten_at = beaten_at + interval '10 minutes'")
        cursor.execute(
            "UPDATE jobs SET created_at = created_at + interval '10 min', due_at = due_at + interval '10 min'"
        )
    for _ in range(3):
        maintenance.beat_fence()

    assert events() == [fence.CLOCK_BACK]
    assert "clock" in check_failover().detail
    assert scalar(migrated, "SELECT due_at <= clock_timestamp() FROM jobs")


def test_a_clock_that_is_behind_after_a_promotion_is_noticed_and_numbers_are_skipped_for_the_difference(migrated: str):
    [before] = create(1)
    with session(migrated) as cursor:
        cursor.execute("UPDATE database_fence SET timeline = '0000000F', beaten_at = beaten_at + interval '10 minutes'")
    new_process()
    with transaction() as writing:
        ahead = fence.beat(writing)

    assert 590 < ahead <= 600
    assert create(1)[0] - before > 590 * fence.SKIP_EACH_SECOND
    assert events() == [fence.PROMOTED]


def test_a_role_without_the_identifier_of_the_server_detects_a_promotion(migrated: str, configure: Callable[..., Any]):
    name = migrated.rpartition("/")[2]
    with session(migrated) as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
        cursor.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}")
        cursor.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        cursor.execute("UPDATE database_fence SET system = '', timeline = '0000000F'")
    configure(DATABASE_URL=migrated.replace("postgres@", f"{name}@"))
    new_process()

    assert events() == [fence.PROMOTED]
    with transaction() as writing:
        fence.beat(writing)
    dispose()
    with session(migrated) as cursor:
        cursor.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_database_of_the_previous_version_is_used_without_the_fence(
    postgresql: PostgreSQL, configure: Callable[..., Any]
):
    url = postgresql.start().create_database()
    configure(DATABASE_URL=url)

    with engine().connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    dispose()
    assert scalar(url, "SELECT to_regclass('database_fence')") is None
    postgresql.drop_database(url)
