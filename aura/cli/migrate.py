"""`aura migrate`: create or upgrade the tables."""

from __future__ import annotations

from aura.errors import Unavailable


def migrate() -> None:
    """Create the tables, or upgrade them to this version. Safe to run from several places at once.

    Example: aura migrate
    """
    from sqlalchemy.exc import SQLAlchemyError

    from aura.settings import first_line
    from db.migrate import migrate as upgrade
    from db.migrate import revisions

    try:
        before, newest = revisions()
        upgrade()
    except SQLAlchemyError as error:
        raise Unavailable(f"{first_line(error)} (see `aura doctor`)") from None
    print(f"revision {newest}" + (" (nothing to do)" if before == newest else f" (was {before or 'empty'})"))
