"""The database as the commands need it: migrated, and with every failure that the user can mend in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aura.cli.output import Refused, note

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@contextmanager
def ready_database() -> Iterator[None]:
    """Make sure that the tables are there: a SQLite file is migrated on the spot, PostgreSQL by `aura migrate`."""
    from sqlalchemy.exc import SQLAlchemyError

    from aura.settings import first_line, get_settings, redact
    from db.dead_letters import ReplayRefused, UnknownDeadLetter
    from db.migrate import migrate, outdated, revisions
    from db.queue_controls import InvalidControl, UnknownJob

    settings = get_settings()
    where = redact(settings.database_url.get_secret_value())
    try:
        current, newest = revisions()
        if outdated(current):
            if not settings.sqlite:
                raise Refused(f"{where} is at revision {current or 'none'}, not {newest}: run `aura migrate`")
            migrate()
        yield
    except SQLAlchemyError as error:
        raise Refused(f"{where}: {first_line(error)} (see `aura doctor`)") from None
    except (ReplayRefused, UnknownDeadLetter, UnknownJob, InvalidControl) as error:
        raise Refused(str(error)) from None


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
def acts(action: str, subject: str, **details: Any) -> Iterator[Session]:
    """Write to the database in one transaction with the row of the audit that says who did what."""
    with ready_database():
        import getpass
        import socket

        from db.audit import Actor, acting

        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have no name
            name = "unknown"
        who = Actor(f"cli {name}@{socket.gethostname()}")
        with acting(who, action, subject, **details) as session:
            yield session


def warn_without_worker() -> None:
    """Say so when nobody is there to do what was just promised."""
    from aura.settings import get_settings

    with reads() as session:
        from db.process_stats import count_live

        if not count_live(session, "worker", get_settings().worker_dead_after):
            command = "aura run" if get_settings().embedded else "dramatiq actors"
            note(f"No worker is running; tickets wait until you start `{command}`.")
