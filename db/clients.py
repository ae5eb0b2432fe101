"""Clients: the external ids and idempotency keys of each API key, user and AMQP account are its own.

Two programs number their records independently, so the same id of two clients is two tickets. The client is a part of the
stored id, `client U+001F id`, and no column: (source, external_id) stays the unique key of a ticket, on which the previous
version relies during a rolling upgrade, and intake maintains no further index. An id without a client is stored as it is:
those of the command line, of files and mails (whose source tells them apart), and those of earlier versions.
"""

from __future__ import annotations

import hashlib
import json

#: Ends the name of the client. No id and no name contains it.
SEPARATOR = "\x1f"
#: Characters of a stored id: 255 of an AMQP account, 200 of the id, and what is between them.
STORED_LENGTH = 500


def scoped(client: str, external_id: str | None) -> str | None:
    """Return the stored form of a client's id; an empty client is none."""
    if external_id is None or not client:
        return external_id
    return f"{client.replace(SEPARATOR, ' ')}{SEPARATOR}{external_id}"


def unscoped(stored: str | None) -> str | None:
    """Return the id as the client sent it."""
    return stored if stored is None else stored.rpartition(SEPARATOR)[2]


def key_digest(client: str, key: str, line: int | None = None) -> str:
    """Return the stored form of an Idempotency-Key: 71 characters, different for each client, key and line of a bulk."""
    return "sha256:" + hashlib.sha256(json.dumps([client, key, line]).encode()).hexdigest()
