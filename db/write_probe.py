"""Probe of writing: inserts, commits and deletes a row that needs a new page, as a ticket does."""

from __future__ import annotations

import os
import uuid

from sqlalchemy import delete, insert, or_

from db.database import transaction
from db.models import WriteProbe
from db.statements import table
from db.time import from_now

#: Bytes of the row: most of a page of PostgreSQL, and two pages of SQLite.
BYTES = 7_900
#: Seconds after which the row of a process that died in between is deleted.
LEFT_AFTER = 60.0


def probe() -> None:
    """Write to the database. Raises SQLAlchemyError if it accepts no writes; may wait as long as a commit of a ticket."""
    c, key = table(WriteProbe).c, uuid.uuid4().hex
    with transaction() as session:
        session.execute(insert(WriteProbe).values(id=key, filler=os.urandom(BYTES)))
    # after the commit: SQLite writes no page that a transaction fills and frees
    with transaction() as session:
        session.execute(delete(WriteProbe).where(or_(c.id == key, c.at < from_now(-LEFT_AFTER))))
