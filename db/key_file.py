"""The key file beside a SQLite database, which encrypts its secret columns when AURA_ENCRYPTION_KEYS is not set.

It is made at the first use, readable by its owner alone. A copy of the database without it opens no secret.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sqlalchemy.engine import make_url

from aura.errors import ConfigurationError
from aura.settings import MIN_ENCRYPTION_KEY, Settings

logger = logging.getLogger(__name__)

SUFFIX = ".key"


def database_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for one in memory, and for another database."""
    if not url.startswith("sqlite"):
        return None
    name = make_url(url).database or ""
    name = name.removeprefix("file:").partition("?")[0]
    return None if name in ("", ":memory:") else Path(name)


def path(settings: Settings) -> Path | None:
    """Return the key file of the database of DATABASE_URL; None if it has none."""
    database = database_file(settings.database_url.get_secret_value())
    return database.with_name(database.name + SUFFIX) if database else None


def keys(settings: Settings, *, create: bool) -> tuple[str, ...]:
    """Return the key of the file, which is made if `create` says so. Raises ConfigurationError for a damaged one."""
    file = path(settings)
    return _key(file.absolute(), create) if file else ()


@lru_cache(maxsize=8)
def _read(file: Path, _changed_ns: int) -> str:
    key = file.read_text(encoding="ascii", errors="replace").strip()
    if len(key) < MIN_ENCRYPTION_KEY:
        raise ConfigurationError(f"{file}: is no key: restore it from a backup, or delete it if nothing is encrypted")
    return key


def _key(file: Path, create: bool) -> tuple[str, ...]:
    try:
        status = file.stat()
    except FileNotFoundError:
        if not create:
            return ()
        _make(file)
        status = file.stat()
    make_private(file)
    return (_read(file, status.st_mtime_ns),)


def _make(file: Path) -> None:
    # complete before it has its name, so that another process never reads half a key; the first process wins
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        os.link(temporary, file)
        logger.info("made the key file %s, which encrypts the secrets of the database: back it up apart from it", file)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def create_private(file: Path) -> None:
    """Create an empty database that its owner alone can read, unless it exists; SQLite's other files are made like it."""
    with suppress(OSError):  # SQLite reports why it cannot be created
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def make_private(file: Path) -> None:
    """Take the permissions of group and others from a file of this user, with a warning."""
    try:
        status = file.stat()
    except OSError:
        return
    if stat.S_IMODE(status.st_mode) & 0o077 and status.st_uid == os.geteuid():
        file.chmod(stat.S_IMODE(status.st_mode) & 0o700)
        logger.warning("%s was readable by other users of this machine; now it is not", file)
