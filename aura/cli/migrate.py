"""`aura migrate`: create or upgrade the tables."""

from __future__ import annotations

from aura.cli.output import announce
from aura.errors import Unavailable


def migrate() -> None:
    """Create the tables, or upgrade them to this version. Safe to run from several places at once.

    Example: aura migrate
    """
    from sqlalchemy.exc import SQLAlchemyError

    from aura.settings import first_line
    from db.migrate import migrate as upgrade
    from db.revisions import revisions

    try:
        before, newest = revisions()
        upgrade()
        encrypted = _encrypt_secrets()
    except SQLAlchemyError as error:
        raise Unavailable(f"{first_line(error)} (see `aura doctor`)") from None
    was = "(nothing to do)" if before == newest else f"(was {before or 'empty'})"
    announce(f"revision {newest} {was}", stdout=True)
    if encrypted:
        announce(f"{encrypted} secrets encrypted", stdout=True)


def _encrypt_secrets() -> int:
    """Encrypt the secrets that an earlier version stored as plain text; not while its processes may read them.

    The scheduled job `secrets` encrypts them later.
    """
    from aura.settings import get_settings
    from db import reading, secret_columns
    from db.process_stats import count_live

    with reading() as session:
        plain, dead_after = secret_columns.count_plain(session), get_settings().worker_dead_after
        live = any(count_live(session, kind, dead_after) for kind in ("worker", "relay"))
    return secret_columns.encrypt_all() if plain and not live else 0
