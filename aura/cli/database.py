"""Database access of the commands: migrated tables, one transaction, one audit entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from aura.cli.output import note
from aura.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Id = TypeVar("Id")
Result = TypeVar("Result")


@contextmanager
def ready_database() -> Iterator[None]:
    """Check the revision of the tables. A SQLite file is migrated here, PostgreSQL by `aura migrate`.

    Raises ConfigurationError for tables of another revision, Unavailable for an error of the database.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from aura.settings import first_line, get_settings, redact
    from db.revisions import outdated, revisions

    settings = get_settings()
    url = redact(settings.database_url.get_secret_value())
    try:
        current, newest = revisions()
        if outdated(current):
            if not settings.sqlite:
                raise ConfigurationError(f"{url} is at revision {current or 'none'}, not {newest}: run `aura migrate`")
            from db.migrate import migrate

            migrate()
        yield
    except SQLAlchemyError as error:
        raise Unavailable(f"{url}: {first_line(error)} (see `aura doctor`)") from None


@contextmanager
def reads() -> Iterator[Session]:
    """Read one consistent state of the database."""
    with ready_database():
        from db import reading

        with reading() as session:
            yield session


@contextmanager
def writes() -> Iterator[Session]:
    """Write to the database in one transaction."""
    with ready_database():
        from db import transaction

        with transaction() as session:
            yield session


@contextmanager
def audited(action: str, subject: str, **details: Any) -> Iterator[Session]:
    """Write to the database in one transaction, together with the audit entry of the action."""
    with ready_database():
        import getpass
        import socket

        from db.audit import Actor, acting

        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have no name
            name = "unknown"
        with acting(Actor(f"cli {name}@{socket.gethostname()}"), action, subject, **details) as session:
            yield session


def apply_to_all(ids: Sequence[Id], step: Callable[[Session, Id], Result]) -> list[Result]:
    """Call the step with each id in one transaction: all or none. Returns the results."""
    with writes() as session:
        return [step(session, each) for each in ids]


def warn_without_worker() -> None:
    """Print a warning when no worker runs to execute the jobs that were enqueued."""
    from aura.settings import get_settings

    with reads() as session:
        from db.process_stats import count_live

        if not count_live(session, "worker", get_settings().worker_dead_after):
            command = "aura run" if get_settings().embedded else "aura worker"
            note(f"No worker is running: start `{command}` to process the ticket.")
