"""Encrypted columns of all tables: counts plain values, and encrypts values with the first key, in batches.

A run can be interrupted and repeated, and several can run at the same time: a value that another process changes meanwhile
stays as that process wrote it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Column, Table, Text, func, select, text, tuple_, type_coerce, update
from sqlalchemy.orm import Session

from db import key_file
from db.database import after_commit, engine, reading, transaction
from db.encryption import PREFIX, EncryptedText, EncryptionKeyError, available, decrypt, reencrypt
from db.models.base import Base

#: Rows of a batch, each in a transaction of its own.
BATCH = 500


def tables() -> list[tuple[Table, list[Column[Any]]]]:
    """Return each table with encrypted columns, and these."""
    found = [
        (each, [column for column in each.columns if isinstance(column.type, EncryptedText)])
        for each in Base.metadata.sorted_tables
    ]
    return [(each, columns) for each, columns in found if columns]


def _label(column: Column[Any]) -> str:
    label: str = column.type.label  # type: ignore[attr-defined]  # of EncryptedText
    return label


def count_plain(session: Session) -> dict[str, int]:
    """Return the number of values that are not encrypted, by table and column, where there are any."""
    counts = {}
    for each, columns in tables():
        for column in columns:
            stored = type_coerce(column, Text)
            plain = select(func.count()).where(stored != "", stored.not_like(PREFIX + "%"))
            if number := session.scalar(plain.select_from(each)):
                counts[str(column)] = number
    return counts


def count_unreadable(session: Session) -> dict[str, int]:
    """Return the number of values that no key decrypts, by table and column, where there are any."""
    counts = dict[str, int]()
    for each, columns in tables():
        for column in columns:
            label, stored = _label(column), type_coerce(column, Text)
            values = session.scalars(select(stored).select_from(each).where(stored.like(PREFIX + "%")))
            if number := sum(not _opens(value, label) for value in values.yield_per(BATCH)):
                counts[str(column)] = number
    return counts


def _opens(stored: str, label: str) -> bool:
    try:
        decrypt(stored, label)
    except EncryptionKeyError:
        return False
    return True


def encrypt_all(batch: int = BATCH) -> int:
    """Encrypt every value that the first key did not encrypt. Returns their number.

    Raises EncryptionKeyError when no key decrypts a value, after all others are done. Without a key nothing changes.
    """
    return _change_all(reencrypt, batch) if available() else 0


def decrypt_all(batch: int = BATCH) -> int:
    """Store every value as plain text, for a version that cannot decrypt. Returns their number. Raises EncryptionKeyError."""
    return _change_all(decrypt, batch)


def _change_all(change: Callable[[str, str], str], batch: int) -> int:
    count, failed = 0, dict[str, EncryptionKeyError]()
    for each, columns in tables():
        for rows in _pages(each, columns, batch):
            count += _store(each, columns, rows, change, failed)
    if failed:
        raise next(iter(failed.values()))
    return count


def _pages(each: Table, columns: list[Column[Any]], batch: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows as (primary key..., stored values...), by primary key."""
    key = list(each.primary_key.columns)
    statement = select(*key, *(type_coerce(column, Text) for column in columns)).order_by(*key).limit(batch)
    page = statement
    while True:
        with reading() as session:
            rows = [tuple(row) for row in session.execute(page)]
        if rows:
            yield rows
        if len(rows) < batch:
            return
        page = statement.where(tuple_(*key) > tuple_(*rows[-1][: len(key)]))


def _store(
    each: Table,
    columns: list[Column[Any]],
    rows: list[tuple[Any, ...]],
    change: Callable[[str, str], str],
    failed: dict[str, EncryptionKeyError],
) -> int:
    """Store the changed form of each value, unless it changed meanwhile. Returns their number."""
    key = list(each.primary_key.columns)
    count = 0
    with transaction() as session:
        if session.get_bind().dialect.name == "sqlite":
            session.execute(text("PRAGMA secure_delete = ON"))  # the page keeps no plain text
        for row in rows:
            own = [column == value for column, value in zip(key, row[: len(key)], strict=True)]
            for column, stored in zip(columns, row[len(key) :], strict=True):
                try:
                    new = change(stored, _label(column)) if stored else stored
                except EncryptionKeyError as error:
                    failed.setdefault(str(column), error)
                    continue
                if new != stored:
                    same = type_coerce(column, Text) == stored
                    changed = update(each).where(*own, same).values({column: type_coerce(new, Text)})
                    count += session.execute(changed).rowcount  # type: ignore[attr-defined]
        if count:
            after_commit(session, _empty_log)
    return count


def _empty_log() -> None:
    """Empty SQLite's write-ahead log, which has the previous pages; a reader delays that to the next checkpoint."""
    file = key_file.database_file(engine().url.render_as_string(hide_password=False))
    if file is not None:
        connection = sqlite3.connect(file, timeout=0)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
