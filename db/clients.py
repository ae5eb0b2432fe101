"""Clients: the external ids and idempotency keys of each API key, user and AMQP account are its own.

Two programs number their records independently, so the same id of two clients is two tickets. The client is a part of the
stored id, `client U+001F id`, and no column: (source, external_id) stays the unique key of a ticket, on which the previous
version relies during a rolling upgrade, and intake maintains no further index. An id without a client is stored as it is:
those of the command line, of files and mails (whose source tells them apart), and those of earlier versions.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

#: Ends the name of the client. No id and no name contains it.
SEPARATOR = "\x1f"
#: Characters of the column. It keeps its type: PostgreSQL refuses a prepared statement of the previous version that reads it
#: otherwise ("cached plan must not change result type"), until that process connects again.
STORED_LENGTH = 200
_DIGEST = "sha256:"


def scoped(client: str, external_id: str | None) -> str | None:
    """Return the stored form of a client's id, a digest if that is longer than its column; an empty client is none."""
    if external_id is None or not client:
        return external_id
    stored = f"{client.replace(SEPARATOR, ' ')}{SEPARATOR}{external_id}"
    return stored if len(stored) <= STORED_LENGTH else _digest(stored)


def unscoped(stored: str | None, raw: str = "") -> str | None:
    """Return the id as the client sent it; that of a digest is in `raw`, the request as JSON."""
    if stored is None or not stored.startswith(_DIGEST):
        return stored if stored is None else stored.rpartition(SEPARATOR)[2]
    with suppress(ValueError):
        request = json.loads(raw)
        if isinstance(request, dict) and isinstance(request.get("external_id"), str):
            return str(request["external_id"])
    return stored


def key_digest(client: str, key: str, line: int | None = None) -> str:
    """Return the stored form of an Idempotency-Key: 71 characters, different for each client, key and line of a bulk."""
    return _digest(json.dumps([client, key, line]))


def _digest(text: str) -> str:
    return _DIGEST + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
